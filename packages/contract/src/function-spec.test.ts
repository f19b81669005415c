import { describe, expect, test } from 'vitest';
import { describeProblem } from './describe-issue.ts';
import { functionSpecSchema } from './function-spec.ts';

/** What is said about a spec, or nothing when it is fine. */
function refusal(spec: unknown): string | undefined {
  const parsed = functionSpecSchema.safeParse(spec);
  return parsed.success ? undefined : describeProblem(parsed.error, spec).message;
}

describe('the spec of a function', () => {
  test.each([
    [
      { runtime: 'node', image: 'x' },
      '"image" is "x" but must not be set beside "runtime": exactly one of the two says what runs',
    ],
    [{}, '"runtime" is missing: set it or "image", exactly one of the two says what runs'],
    [
      { runtime: 'node', env: { EBB_SOCKET: '/x' } },
      '"env.EBB_SOCKET" is "/x" but must not be set: the platform sets it',
    ],
    [{ image: 'x', env: { EBB_FUNCTION: 'y' } }, '"env.EBB_FUNCTION" is "y" but must not be set: the platform sets it'],
    [{ image: 'x', env: { PORT: '80' } }, '"env.PORT" is "80" but must not be set: the platform sets it, from "port"'],
    [{ runtime: 'node', port: 80 }, '"port" is 80 but is only for functions with an image'],
    [{ image: 'x', signature: 'node' }, '"signature" is "node" but is only for functions with a runtime'],
    [{ runtime: 'node', concurrency: 1.5 }, '"concurrency" is 1.5 but must be a whole number'],
    [{ runtime: 'node', labels: [] }, '"labels" is a list but must be an object'],
    [{ runtime: 'node', secrets: 'x' }, '"secrets" is "x" but must be a list'],
    [{ runtime: 'node', readOnlyRootFilesystem: 'no' }, '"readOnlyRootFilesystem" is "no" but must be true or false'],
  ])('%j is refused in words', (spec, message) => {
    expect(refusal(spec)).toBe(message);
  });

  test('variables that only look like the platform’s are the function’s own', () => {
    expect(refusal({ runtime: 'node', env: { PORT: '80', EBB_URL: 'http://x', EBB_TOKEN: 't' } })).toBeUndefined();
  });
});
