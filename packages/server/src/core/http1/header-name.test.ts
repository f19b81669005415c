import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHeaderTable, isHeaderName } from './header-name.ts';

const NAMES = ['connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'x-call-id', 'transfer-encoding'];

test('a table finds its names in any case and nothing else', () => {
  const table = createHeaderTable(NAMES.map((name) => [name, `${name}!`] as const));
  const known = new Map(NAMES.map((name) => [name, `${name}!`]));
  const letters = fc.string({ unit: fc.constantFrom(...'abcTEkx-1'), maxLength: 20 });
  const cased = fc
    .tuple(fc.constantFrom(...NAMES), fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }))
    .map(([name, upper]) => [...name].map((char, index) => (upper[index] ? char.toUpperCase() : char)).join(''));
  fc.assert(
    fc.property(fc.oneof(letters, cased, fc.string()), (name) => {
      expect(table.find(name)).toBe(known.get(name.toLowerCase()));
    }),
  );
});

test('a name is made of the characters of a token, and of at least one', () => {
  expect(['X-A', "a!#$%&'*+-.^_`|~9Z"].map(isHeaderName)).toEqual([true, true]);
  expect(['', 'a b', 'a:', 'a\t', 'a\0', 'ä', '\u{100}', 'a/b', 'a"', 'a(', '{a', 'a]'].map(isHeaderName)).toEqual(
    Array.from({ length: 12 }, () => false),
  );
});
