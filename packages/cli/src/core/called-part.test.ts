import { expect, test } from 'vitest';
import { splitCalledPart } from './called-part.ts';

test.each([
  ['web', { name: 'web', part: {} }],
  ['web.team:beta', { name: 'web.team', part: { alias: 'beta' } }],
  ['web@7', { name: 'web', part: { version: 7 } }],
])('%s names a function, and maybe an alias or a version of it', async (text, expected) => {
  expect(await splitCalledPart(text)).toEqual(expected);
});

test.each([
  ['web@x', '"version" is "x" but must be the number of a version, such as 7'],
  ['web:', 'the function is "web:" but what follows ":" must be the name of an alias'],
  ['web:a/b', 'must be the name of an alias'],
])('%s is refused in one sentence', async (text, message) => {
  await expect(splitCalledPart(text)).rejects.toThrow(message);
});
