import type { InvocationResource } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createOutput } from '../terminal/output.ts';
import { formatDeadLetters, formatInvocation, formatInvocations } from './format-invocation.ts';

const NOW = Date.parse('2026-05-01T10:00:00Z');
const sink = { write: () => true };
const output = createOutput(sink, sink, { json: false, quiet: false, color: false });

function at(agoMs: number): string {
  return new Date(NOW - agoMs).toISOString();
}

function call(more: Partial<InvocationResource> = {}): InvocationResource {
  return {
    id: 'a-call',
    namespace: 'team',
    target: 'resize:beta',
    state: 'queued',
    method: 'POST',
    path: '/x',
    priority: 4,
    acceptedAt: at(60_000),
    expiresAt: at(-3_600_000),
    sizeBytes: 2048,
    attempts: [],
    ...more,
  };
}

const DEAD = call({
  state: 'dead',
  endedAt: at(5_000),
  attempts: [
    {
      number: 1,
      startedAt: at(9_000),
      endedAt: at(7_500),
      end: 'failed',
      version: 3,
      status: 500,
      message: 'it answered 500',
    },
    {
      number: 2,
      startedAt: at(6_000),
      endedAt: at(5_990),
      end: 'lost',
      errorCode: 'INSTANCE_CRASHED',
      message: 'gone\u001b[2J',
    },
  ],
  dead: { reason: 'attempts', message: '2 attempts failed', redrivenAs: 'another' },
});

describe('calls for people', () => {
  test('a list says how each stands', () => {
    const lines = formatInvocations(
      [
        call({ nextAt: at(-90_000) }),
        call({ state: 'succeeded', result: { status: 201, path: '/r' } }),
        DEAD,
        call({ state: 'cancelled', cancelled: 'superseded by b' }),
      ],
      NOW,
    ).split('\n');
    expect(lines[0]).toBe('ID      FOR          STATE      ATTEMPTS  ACCEPTED  OUTCOME');
    expect(lines[1]).toMatch(/^a-call {2}resize:beta {2}queued +0 {2}60 s ago {2}next at /);
    expect(lines[2]).toMatch(/succeeded +0 {2}60 s ago {2}201$/);
    expect(lines[3]).toMatch(/dead +2 {2}60 s ago {2}attempts, redriven$/);
    expect(lines[4]).toMatch(/superseded by b$/);
  });

  test('one is shown with its reason and every attempt, and nothing in it steers a terminal', () => {
    const text = formatInvocation(DEAD, output, NOW);
    expect(text).toContain('Why:      attempts: 2 attempts failed');
    expect(text).toContain('Redriven: as another');
    expect(text).toContain('POST /x, 2 KiB');
    expect(text).toMatch(/1 {2}\S+ .*1\.5 s +3 {2}failed {2}it answered 500$/m);
    expect(text).toMatch(/2 {2}\S+ .*10 ms +lost {4}INSTANCE_CRASHED: gone\\x1b\[2J$/m);
  });

  test('dead letters say why and what happened last', () => {
    expect(formatDeadLetters([DEAD], NOW).split('\n')[1]).toMatch(
      /^a-call {2}resize:beta {2}attempts +2 {2}5 s ago {3}INSTANCE_CRASHED: gone/,
    );
  });
});
