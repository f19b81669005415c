import type { RolloutResource } from '@ebb/contract';
import { expect, test } from 'vitest';
import { describeRollout, formatRollout } from './format-rollout.ts';

const ROLLED_BACK: RolloutResource = {
  namespace: 'openfaas-fn',
  name: 'hello',
  id: 3,
  strategy: 'canary',
  from: 6,
  to: 7,
  state: 'rolled-back',
  step: 0,
  steps: [
    { weight: 5, pause: '60 s' },
    { weight: 100, pause: '60 s' },
  ],
  weight: 0,
  reason: 'MORE_ERRORS',
  message: 'version 7 failed 11 of 162 calls (6.79 %), version 6 0 of 3091 calls (0 %), more than 1 % apart',
  old: { version: 6, calls: 3091, failed: 0, p95Ms: 11, starts: 0, failedStarts: 0 },
  new: { version: 7, calls: 162, failed: 11, p95Ms: 12, starts: 1, failedStarts: 0 },
  startedAt: '2026-05-01T10:00:00.000Z',
  endedAt: '2026-05-01T10:00:22.000Z',
  timeline: [
    { at: '2026-05-01T10:00:00.000Z', action: 'start', weight: 0, reason: 'STARTED', message: 'from version 6 to 7' },
  ],
};

test('says how it ended and why, with the numbers of both sides', () => {
  const text = formatRollout(ROLLED_BACK);
  expect(text).toContain('State:    ROLLED BACK, ');
  expect(text).toContain('Calls:    version 7 gets 0 %, version 6 100 %');
  expect(text).toContain('Because:  version 7 failed 11 of 162 calls (6.79 %)');
  expect(text).toContain('more than 1 % apart (MORE_ERRORS)');
  expect(text).toMatch(/^old +6 +3091 +0 \(0 %\) +11 ms +0 +0$/m);
  expect(text).toMatch(/^2026-0\d-\d\d \d\d:\d\d:\d\d +start +0 % +STARTED/m);
  expect(text).toMatch(/^new +7 +162 +11 \(6\.79 %\) +12 ms +1 +0$/m);
});

test('says at which step one is that runs, and what it waits for', () => {
  const { endedAt: _ended, ...running } = ROLLED_BACK;
  const text = formatRollout({ ...running, state: 'running', weight: 5, message: 'version 7 had 12 of the 50 calls' });
  expect(describeRollout({ ...running, state: 'paused', weight: 5, message: 'it waits' })).toBe(
    'paused by hand, version 6 to 7, step 1 of 2 at 5 %: it waits (MORE_ERRORS)',
  );
  expect(text).toContain('Step:     1 of 2');
  expect(text).toContain('Now:      version 7 had 12 of the 50 calls');
});

test('claims nothing of where calls go once somebody else has said so', () => {
  expect(formatRollout({ ...ROLLED_BACK, state: 'aborted', reason: 'CHANGED_BY_HAND' })).not.toContain('gets 0 %');
});
