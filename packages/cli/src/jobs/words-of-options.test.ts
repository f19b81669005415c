import { describe, expect, test } from 'vitest';
import { createParameters } from '../core/parameters.ts';
import { checkJobs, inWordsOfOptions } from './words-of-options.ts';

const refusal = (message: string) => Object.assign(new Error(message), { code: 'INVALID_REQUEST' });

describe('a job that the server refuses', () => {
  const parameters = createParameters({ timeout: 'banana' });

  test('is refused in the words of its options, or of its file', () => {
    expect(
      inWordsOfOptions(refusal('"jobs.0.spec.timeout" is "banana" but must be short'), [{}], parameters),
    ).toMatchObject({ message: '"--timeout" is "banana" but must be short', exitCode: 2 });
    expect(
      inWordsOfOptions(refusal('"jobs.1.spec.memory" is "1" but'), [{ name: 'a' }, { name: 'b' }], parameters),
    ).toMatchObject({ message: '"memory" of the job "b" is "1" but' });
  });

  test('is refused as the server said it where that is about something else', () => {
    const other = refusal('"namespace" is "x y" but must be a name');
    expect(inWordsOfOptions(other, [{}], parameters)).toBe(other);
  });

  test('is refused before its function is deployed, in the same words', () => {
    const check = (spec: object) => () => checkJobs([{ name: 'shout', spec } as { name: string }], parameters);
    expect(check({ function: 'shout', inputs: ['a', 'b'.repeat(65_536)] })).not.toThrow();
    expect(check({ function: 'shout', inputs: ['a', 'b'.repeat(65_537)] })).toThrow(
      /^"inputs.1" of the job "shout" is "b+\.\.\. but must be at most 65536 characters long$/,
    );
    expect(check({ function: 'shout', timeout: 'banana' })).toThrow(/^"--timeout" is "banana" but must be a duration/);
  });
});
