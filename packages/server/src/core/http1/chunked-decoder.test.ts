import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkedDecoder } from './chunked-decoder.ts';

/** Decodes a body that comes in pieces; returns the payload, the trailers and the bytes that were left over. */
function decode(pieces: readonly string[]) {
  const decoder = new ChunkedDecoder();
  let data = '';
  let left = '';
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1');
    let at = 0;
    while (at < bytes.length && !decoder.isDone) {
      at = decoder.step(bytes, at, bytes.length);
      data += bytes.toString('latin1', decoder.dataStart, decoder.dataEnd);
    }
    left += bytes.toString('latin1', at);
  }
  return { data, left, isDone: decoder.isDone, trailers: decoder.trailers };
}

describe('a chunked body', () => {
  test('is the same however it is cut', () => {
    const chunk = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 });
    const trailer = fc.tuple(fc.stringMatching(/^[A-Za-z-]{1,8}$/), fc.stringMatching(/^[a-z]{0,8}$/));
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 6 }),
        fc.array(trailer, { maxLength: 3 }),
        fc.array(fc.nat(300), { maxLength: 12 }),
        (chunks, trailers, cuts) => {
          const body = chunks.map((text) => `${text.length.toString(16)};x=y\r\n${text}\r\n`).join('');
          const text = `${body}0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\nnext`;
          const at = [...new Set([0, ...cuts.map((cut) => cut % text.length), text.length])].sort((a, b) => a - b);
          const pieces = at.slice(1).map((to, index) => text.slice(at[index], to));
          expect(decode(pieces)).toEqual({
            data: chunks.join(''),
            left: 'next',
            isDone: true,
            trailers: trailers.flat(),
          });
        },
      ),
    );
  });

  test.each([
    ['no size', '\r\n'],
    ['a size that is no number', 'xyz\r\n'],
    ['a signed size', '+1\r\na\r\n'],
    ['a size beyond what can be counted', `${'f'.repeat(13)}\r\n`],
    ['a line feed alone after the size', '1\na\r\n'],
    ['a line feed alone after the data', '1\r\na\n'],
    ['more data than was said', '1\r\nab\r\n'],
    ['an endless size line', `1;${'x'.repeat(5_000)}`],
    ['a trailer that is none', '0\r\nno colon\r\n\r\n'],
    ['a continued trailer', '0\r\nA: b\r\n c\r\n\r\n'],
    ['endless trailers', `0\r\n${'A: b\r\n'.repeat(20_000)}`],
  ])('is refused with %s', (_what, text) => {
    expect(() => decode([text])).toThrow(/of the/);
  });
});
