import { expect, test } from 'vitest';
import { createParameters } from '../core/parameters.ts';
import { parseAliasOptions } from './parse-alias-options.ts';

const parse = (values: Readonly<Record<string, unknown>>, current?: Parameters<typeof parseAliasOptions>[1]) =>
  parseAliasOptions(createParameters(values), current);

test('a split, and what comes ahead of it, is read as people write it', () => {
  expect(
    parse({
      split: ['7=90', 'v8=10%'],
      sticky: 'header:X-User',
      match: ['header:X-Tester=a:b:8', 'cookie:beta:8'],
      shadow: '9=2.5',
      description: 'a try',
    }),
  ).toEqual({
    description: 'a try',
    versions: { 7: 90, 8: 10 },
    sticky: { by: 'header', name: 'X-User' },
    match: [
      { header: 'X-Tester', value: 'a:b', version: 8 },
      { cookie: 'beta', version: 8 },
    ],
    shadow: { version: 9, percent: 2.5 },
  });
  expect(parse({ split: ['7'] })).toEqual({ versions: { 7: 100 } });
});

test('what is not said stays, and "none" takes a part away', () => {
  const current = {
    versions: { 7: 100 },
    sticky: { by: 'cookie' as const },
    match: [{ header: 'x', version: 7 }],
    shadow: { version: 8 },
  };
  expect(parse({ split: ['7=50', '8=50'] }, current)).toEqual({ ...current, versions: { 7: 50, 8: 50 } });
  expect(parse({ sticky: 'client' }, current)).toEqual({ ...current, sticky: { by: 'client' } });
  expect(parse({ sticky: 'none', match: ['none'], shadow: 'none' }, current)).toEqual({
    versions: { 7: 100 },
    match: [],
  });
});

test.each([
  [{}, 'say where the calls go: VERSION, or shares such as "7=90 8=10"'],
  [{ split: ['x'] }, '"split" is "x" but must be the number of a version, such as 7'],
  [{ split: ['7', '8=10'] }, '"7" has no share; with several versions each needs one, such as "7=50"'],
  [{ split: ['7=50', '7=50'] }, 'version 7 is named twice'],
  [{ split: ['7=120'] }, 'the share in "7=120" must be a percentage from 0 to 100 with at most two decimals'],
  [{ split: ['7'], sticky: 'ip' }, '"--sticky" is "ip" but must be cookie, cookie:NAME, header:NAME, client or none'],
  [{ split: ['7'], sticky: 'header' }, '"--sticky" is "header" but must name it, such as "header:X-User"'],
  [
    { split: ['7'], match: ['X-Tester:8'] },
    '"--match" is "X-Tester:8" but must be header:NAME[=VALUE]:VERSION or cookie:NAME[=VALUE]:VERSION',
  ],
  [{ split: ['7'], shadow: 'all' }, '"--shadow" is "all" but must be the number of a version, such as 7'],
])('%j is refused in one sentence', (values, message) => {
  expect(() => parse(values)).toThrow(message);
});
