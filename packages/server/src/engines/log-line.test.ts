import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLineSplitter, MAX_LINE_BYTES, parseInstanceLine } from './log-line.ts';

function split(chunks: readonly Uint8Array[]): string[] {
  const lines: string[] = [];
  const splitter = createLineSplitter((text) => lines.push(text));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

describe('parseInstanceLine', () => {
  test('takes the call off a marked line', () => {
    expect(parseInstanceLine('\x1ecall-1\x1ehello')).toEqual({ text: 'hello', callId: 'call-1' });
    expect(parseInstanceLine('\x1ecall-1\x1e')).toEqual({ text: '', callId: 'call-1' });
  });

  test.each(['hello', '', '\x1e\x1ehello', '\x1ea b\x1ehello', `\x1e${'x'.repeat(129)}\x1ehello`, 'x\x1ea\x1eb'])(
    'leaves %j as it is',
    (text) => expect(parseInstanceLine(text)).toEqual({ text }),
  );

  test('caps a line without cutting a character in two', () => {
    const { text } = parseInstanceLine(`x${'é'.repeat(MAX_LINE_BYTES)}`);
    expect(text).toBe(`x${'é'.repeat(MAX_LINE_BYTES / 2 - 1)} [${MAX_LINE_BYTES + 1} bytes cut]`);
  });
});

describe('createLineSplitter', () => {
  test('gives the same lines however the stream is cut', () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, ''));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat({ max: 200 })), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const ends = [...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
        expect(split(chunks)).toEqual(lines);
      }),
    );
  });

  test('takes CRLF, empty lines and an unfinished last line', () => {
    expect(split([Buffer.from('a\r\n\nb')])).toEqual(['a', '', 'b']);
  });

  test('holds a bounded part of an endless line and counts the rest (fault case 45)', () => {
    const chunk = Buffer.alloc(1 << 20, 'x');
    const [first, second] = split([...Array.from({ length: 64 }, () => chunk), Buffer.from('\nnext\n')]);
    expect(first).toBe(`${'x'.repeat(MAX_LINE_BYTES)} [${(64 << 20) - MAX_LINE_BYTES} bytes cut]`);
    expect(second).toBe('next');
  });
});
