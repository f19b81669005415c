import { ERRORS, type ErrorCode, resolveAsync } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { classifyCallError } from './classify-call-error.ts';
import { classifyLaneSign } from './classify-lane-sign.ts';
import { classifyOutcome } from './classify-outcome.ts';
import type { Delivered } from './deliverer.ts';

const policy = resolveAsync();

describe('classifyOutcome', () => {
  test.each([
    [200, { kind: 'succeeded' }],
    [204, { kind: 'succeeded' }],
    [302, { kind: 'succeeded' }],
    [400, { kind: 'dead', reason: 'status', counts: true }],
    [404, { kind: 'dead', reason: 'status', counts: true }],
    [501, { kind: 'dead', reason: 'status', counts: true }],
    [408, { kind: 'retry', counts: true }],
    [429, { kind: 'retry', counts: true }],
    [500, { kind: 'retry', counts: true }],
    [503, { kind: 'retry', counts: true }],
  ])('an answer of %i is %o', (status, conclusion) => {
    expect(classifyOutcome({ verdict: 'answered', status }, policy, 0)).toEqual(conclusion);
  });

  test('the last of the attempts is the end, and only faults of the function use them up', () => {
    expect(classifyOutcome({ verdict: 'answered', status: 500 }, policy, 3)).toEqual({ kind: 'retry', counts: true });
    const over = { kind: 'dead', reason: 'attempts', counts: true };
    expect(classifyOutcome({ verdict: 'answered', status: 500 }, policy, 4)).toEqual(over);
    expect(classifyOutcome({ verdict: 'failed', status: 502 }, policy, 4)).toEqual(over);
    expect(classifyOutcome({ verdict: 'platform', status: 503 }, policy, 4)).toEqual({ kind: 'retry', counts: false });
    expect(classifyOutcome({ verdict: 'aborted' }, policy, 4)).toEqual({ kind: 'retry', counts: false });
  });

  test('an error that what serves the function says is not the function’s can pass, whatever its status', () => {
    const internal = { verdict: 'answered', status: 501, isInternal: true } as const;
    expect(classifyOutcome(internal, policy, 0)).toEqual({ kind: 'retry', counts: true });
    expect(classifyOutcome(internal, policy, 4)).toEqual({ kind: 'dead', reason: 'attempts', counts: true });
    expect(classifyOutcome({ ...internal, status: 200 }, policy, 0)).toEqual({ kind: 'succeeded' });
  });

  test('a 429 with when to come again is no failure', () => {
    const later = { verdict: 'answered', status: 429, retryAfterMs: 1_000 } as const;
    expect(classifyOutcome(later, policy, 4)).toEqual({ kind: 'retry', counts: false });
    const strict = { ...policy, retryStatuses: new Set([500]) };
    expect(classifyOutcome(later, strict, 0)).toEqual({ kind: 'dead', reason: 'status', counts: true });
  });

  test('what can never be made ends at once', () => {
    expect(classifyOutcome({ verdict: 'gone', status: 404 }, policy, 0)).toMatchObject({
      kind: 'dead',
      reason: 'gone',
    });
    expect(classifyOutcome({ verdict: 'refused' }, policy, 0)).toMatchObject({ kind: 'dead', reason: 'refused' });
  });
});

describe('classifyCallError', () => {
  const codesOf = (verdict: string) =>
    (Object.keys(ERRORS) as ErrorCode[]).filter(
      (code) => ERRORS[code].component === 'gateway' && classifyCallError(code, true) === verdict,
    );

  test('tells the function’s faults from the platform’s and from limits, by the catalog', () => {
    expect(codesOf('failed').toSorted()).toEqual([
      'BAD_RESPONSE',
      'FUNCTION_TIMEOUT',
      'HANDLER_FAILED',
      'INSTANCE_BLOCKED',
      'INSTANCE_CRASHED',
      'INSTANCE_REFUSED',
      'NEVER_READY',
      'OUT_OF_MEMORY',
      'START_FAILED',
    ]);
    expect(codesOf('platform').toSorted()).toEqual([
      'DRAINING',
      'FUNCTION_LIMIT',
      'NAMESPACE_LIMIT',
      'NO_INSTANCE_IN_TIME',
      'QUEUE_FULL',
      'RATE_LIMIT',
    ]);
    expect(
      ['ENGINE_UNAVAILABLE', 'ENGINE_TIMEOUT', 'ENGINE_FAILED', 'STORE_FAILED', 'INTERNAL'].map((code) =>
        classifyCallError(code as ErrorCode, false),
      ),
    ).toEqual(Array(5).fill('platform'));
    expect(
      ['FUNCTION_NOT_FOUND', 'ALIAS_NOT_FOUND', 'VERSION_NOT_FOUND'].map((code) =>
        classifyCallError(code as ErrorCode, false),
      ),
    ).toEqual(Array(3).fill('gone'));
    expect(classifyCallError('BAD_REQUEST', false)).toBe('refused');
    // Others ended the instances; this call reached none.
    expect(classifyCallError('INSTANCE_CRASHED', false)).toBe('platform');
    expect(classifyCallError('START_FAILED', false)).toBe('failed');
  });
});

describe('classifyLaneSign', () => {
  const signOf = (delivered: Partial<Delivered>) =>
    classifyLaneSign({ verdict: 'answered', startedAt: 0, endedAt: 0, ...delivered })?.kind;

  test('an answer is a sign that calls are taken, unless it asks to come later', () => {
    expect(signOf({ status: 200 })).toBe('taken');
    expect(signOf({ status: 500 })).toBe('taken');
    expect(signOf({ status: 503 })).toBe('taken');
    expect(signOf({ status: 503, retryAfterMs: 10 })).toBe('asked');
    expect(signOf({ status: 429, retryAfterMs: 10 })).toBe('asked');
  });

  test('a function that cannot be started, limits, and what was stopped', () => {
    expect(signOf({ verdict: 'failed', errorCode: 'HANDLER_FAILED' })).toBe('broken');
    expect(signOf({ verdict: 'failed', errorCode: 'INSTANCE_CRASHED', instance: 'i' })).toBe('taken');
    expect(signOf({ verdict: 'failed', errorCode: 'OUT_OF_MEMORY', instance: 'i' })).toBe('taken');
    expect(signOf({ verdict: 'platform', errorCode: 'QUEUE_FULL' })).toBe('full');
    expect(signOf({ verdict: 'platform', errorCode: 'INSTANCE_CRASHED' })).toBe('broken');
    expect(signOf({ verdict: 'aborted' })).toBeUndefined();
  });
});
