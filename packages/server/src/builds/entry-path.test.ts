import { posix, win32 } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_DEPTH, parseEntryPath } from './entry-path.ts';

describe('the name of an entry (fault cases 16 and 18)', () => {
  test.each([
    ['index.js', ['index.js']],
    ['./index.js', ['index.js']],
    ['lib/', ['lib']],
    ['./', []],
    ['.', []],
    ['.env', ['.env']],
    ['...', ['...']],
    ['node_modules/@scope/name/a b$c.js', ['node_modules', '@scope', 'name', 'a b$c.js']],
    ['日本語/é.txt', ['日本語', 'é.txt']],
    ['a:b', undefined],
    ['ab:c', ['ab:c']],
  ])('%j is %j', (name, segments) => {
    const parsed = parseEntryPath(name);
    expect(parsed).toEqual(
      segments ? { kind: 'path', segments } : { kind: 'refused', reason: expect.any(String) as string },
    );
  });

  test.each([
    '',
    '/',
    '/etc/passwd',
    '//host/share',
    '..',
    '../x',
    './../x',
    'a/../../x',
    'a/..',
    'a/./b',
    'a//b',
    './/a',
    '././a',
    'a\\b',
    '..\\x',
    '\\\\host\\share',
    'C:\\x',
    'c:/x',
    './c:/x',
    'a\0b',
    'a\nb',
    'a\u007f',
    '\ud800',
    'a\ufffdb',
    'x'.repeat(256),
    'é'.repeat(128),
    `${'x/'.repeat(MAX_DEPTH)}x`,
    `${'x'.repeat(200)}/`.repeat(6),
  ])('%j is refused', (name) => {
    expect(parseEntryPath(name)).toEqual({
      kind: 'refused',
      reason: expect.stringMatching(/^(has|is|leads|starts) /) as string,
    });
  });

  test('whatever is let through stays inside the folder, on every system', () => {
    const part = fc.oneof(
      fc.constantFrom('..', '.', '', '/', '\\', 'C:', '\0', '~', '%2e%2e', '․․', '‥', '．．', 'con', ' '),
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    );
    const name = fc
      .tuple(fc.array(part, { maxLength: 6 }), fc.constantFrom('/', '', '\\'))
      .map(([parts, by]) => parts.join(by));
    fc.assert(
      fc.property(name, (text) => {
        const parsed = parseEntryPath(text);
        if (parsed.kind === 'refused') return;
        expect(parsed.segments.every((segment) => !['', '.', '..'].includes(segment))).toBe(true);
        expect(posix.resolve('/root/in', ...parsed.segments).startsWith('/root/in')).toBe(true);
        expect(posix.join('/root/in', ...parsed.segments).split('/')).toHaveLength(3 + parsed.segments.length);
        expect(win32.resolve('D:\\root\\in', ...parsed.segments).startsWith('D:\\root\\in')).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
