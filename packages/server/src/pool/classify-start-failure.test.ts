import { expect, test } from 'vitest';
import { classifyStartFailure } from './classify-start-failure.ts';

const facts = { exit: undefined, isManaged: true, isLate: false, isBlocked: false };
const ended = (code: number) => ({ code, outOfMemory: false });

test.each([
  ['a handler that threw', { exit: ended(70) }, 'HANDLER_FAILED'],
  ['a top-level await that cannot settle', { exit: ended(13) }, 'NEVER_READY'],
  ['an end of its own', { exit: ended(7) }, 'START_FAILED'],
  ['the same codes of an image, where they mean nothing', { exit: ended(70), isManaged: false }, 'START_FAILED'],
  ['too much memory', { exit: { outOfMemory: true, code: 137 } }, 'OUT_OF_MEMORY'],
  ['nothing that listens in time', { isLate: true, isManaged: false }, 'NEVER_READY'],
  ['an event loop that stands', { isLate: true, isBlocked: true }, 'INSTANCE_BLOCKED'],
  ['a connection that fails', {}, 'START_FAILED'],
])('a start that fails for %s', (_what, seen, code) => {
  expect(classifyStartFailure({ ...facts, ...seen })).toBe(code);
});
