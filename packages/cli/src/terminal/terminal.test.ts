import { describe, expect, test } from 'vitest';
import { escapeControls } from './escape-controls.ts';
import { createOutput } from './output.ts';
import { formatFields, formatTable } from './table.ts';

function sink() {
  const written: string[] = [];
  return { written, write: (data: string | Uint8Array) => written.push(String(data)) > 0 };
}

describe('escapeControls', () => {
  test.each([
    ['plain\ttext ü 🌊', 'plain\ttext ü 🌊'],
    ['\u001b[31mred\u001b[0m', '\\x1b[31mred\\x1b[0m'],
    ['a\r\nb', 'a\\r\\nb'],
    ['\u009b2J\u0007', '\\x9b2J\\x07'],
    ['abc\u202edef', 'abc\\u202edef'],
  ])('shows %j as %j, so that nothing a function wrote steers a terminal', (text, shown) => {
    expect(escapeControls(text)).toBe(shown);
  });
});

describe('formatTable', () => {
  test('aligns columns and leaves no space at the end of a line', () => {
    const rows = [
      { name: 'a', count: 5 },
      { name: 'longer', count: 12 },
    ];
    const table = formatTable(rows, [
      { title: 'name', value: (row) => row.name },
      { title: 'n', value: (row) => row.count, align: 'right' },
      { title: 'more', value: () => '' },
    ]);
    expect(table).toBe('NAME     N  MORE\na        5\nlonger  12');
  });

  test('fields without a value are left out', () => {
    expect(
      formatFields([
        ['Name', 'x'],
        ['Nothing', undefined],
        ['Longer', 3],
      ]),
    ).toBe('Name:   x\nLonger: 3');
  });
});

describe('createOutput', () => {
  const mode = { json: false, quiet: false, color: false };

  test('results go to standard output, notes to standard error', () => {
    const [out, err] = [sink(), sink()];
    const output = createOutput(out, err, mode);
    output.result({ a: 1 }, () => 'one');
    output.note('note');
    expect([out.written, err.written]).toEqual([['one\n'], ['note\n']]);
  });

  test('with --json there is one value and nothing else', () => {
    const [out, err] = [sink(), sink()];
    const output = createOutput(out, err, { ...mode, json: true });
    output.result({ a: 1 }, () => 'one');
    output.note('note');
    output.warn('careful');
    expect(JSON.parse(out.written.join(''))).toEqual({ a: 1 });
    expect(err.written).toEqual([]);
  });

  test('without colour there is not one escape sequence', () => {
    expect(createOutput(sink(), sink(), mode).style('red', 'x')).toBe('x');
  });
});
