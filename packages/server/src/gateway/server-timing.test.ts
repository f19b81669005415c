import { waitForStart, type StartReport } from '@ebb/contract';
import { expect, test } from 'vitest';
import { serverTiming } from './server-timing.ts';

const START: StartReport = {
  cause: 'scale-from-zero',
  spare: 'used',
  admitMs: 0.2,
  codeMs: 0.4,
  specialiseMs: 9.004,
  initMs: 11,
};

test('the phases of a start come in their order between the whole wait and the first byte', () => {
  expect(serverTiming(waitForStart(START), 23.126, 2.1)).toBe(
    'queue;dur=23.13, admit;dur=0.2, code;dur=0.4, specialise;dur=9, init;dur=11, first-byte;dur=2.1, cold;desc="scale-from-zero"',
  );
});

test('a start from scratch because no spare was ready says so', () => {
  const { specialiseMs: _, ...rest } = START;
  expect(serverTiming(waitForStart({ ...rest, spare: 'empty', createMs: 180 }), 200)).toBe(
    'queue;dur=200, admit;dur=0.2, code;dur=0.4, create;dur=180, init;dur=11, cold;desc="pool-empty"',
  );
});

test.each([
  [{ cause: 'thaw', thawMs: 0.14 } as const, 'queue;dur=2, thaw;dur=0.14, first-byte;dur=1, wait;desc="thaw"'],
  [{ cause: 'busy' } as const, 'queue;dur=2, first-byte;dur=1, wait;desc="busy"'],
])('a wait without a start is no cold start: $cause', (wait, header) => {
  expect(serverTiming(wait, 2, 1)).toBe(header);
});

test('each metric is a token with parameters, as the standard wants it', () => {
  const metric = /^[a-z-]+(?:;dur=\d+(?:\.\d+)?|;desc="[a-z-]+")$/;
  for (const part of serverTiming(waitForStart(START), 1e-9, 1234.5).split(', ')) expect(part).toMatch(metric);
});
