import type { InvocationResource } from '@ebb/contract';
import { expect, test } from 'vitest';
import { type Seen, violationsOf } from './history.ts';

const at = '2026-01-01T00:00:00.000Z';
const call = (state: InvocationResource['state'], ...ends: readonly (readonly [number, string])[]) =>
  ({
    id: 'a',
    state,
    attempts: ends.map(([number, end]) => ({ number, end, startedAt: at, endedAt: at })),
  }) as unknown as InvocationResource;
const seen = (...steps: readonly (readonly [number, Seen['step']])[]): Seen[] =>
  steps.map(([attempt, step]) => ({ id: 'a', attempt, step, at: 0 }));

test('a history without fault has no violations, one with a known duplicate among them', () => {
  expect(violationsOf(call('succeeded', [1, 'succeeded']), seen([1, 'begun'], [1, 'answered']))).toEqual([]);
  expect(
    violationsOf(
      call('succeeded', [1, 'lost'], [2, 'failed'], [3, 'succeeded']),
      seen([1, 'begun'], [1, 'answered'], [2, 'begun'], [2, 'failed'], [3, 'begun'], [3, 'answered']),
    ),
  ).toEqual([]);
  expect(violationsOf(call('dead', [1, 'failed']), seen([1, 'begun'], [1, 'failed']))).toEqual([]);
});

test.each([
  ['a call that never ends', call('queued'), seen(), 'A2: it has not ended'],
  ['a call that succeeds twice', call('succeeded', [1, 'succeeded'], [2, 'succeeded']), seen(), 'succeeded twice'],
  ['an end that its attempts do not show', call('dead', [1, 'succeeded']), seen(), 'say otherwise'],
  ['an attempt that was made twice', call('dead', [1, 'failed']), seen([1, 'begun'], [1, 'begun']), 'made twice'],
  ['a number that goes back', call('dead', [1, 'lost'], [2, 'failed']), seen([2, 'begun'], [1, 'begun']), 'go back'],
  ['an attempt in no record', call('dead', [1, 'failed']), seen([1, 'begun'], [2, 'begun']), 'in no record'],
  ['a success nobody saw', call('succeeded', [1, 'succeeded']), seen(), 'never was at its function'],
  [
    'an answer that was not counted',
    call('succeeded', [1, 'failed'], [2, 'succeeded']),
    seen([1, 'begun'], [1, 'answered'], [2, 'begun'], [2, 'answered']),
    'was made again',
  ],
])('%s is a violation', (_name, record, notes, text) => {
  expect(violationsOf(record, notes).join('; ')).toContain(text);
});
