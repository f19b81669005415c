import { describe, expect, test } from 'vitest';
import { Pieces } from './pieces.ts';

const LARGE = 10_000;

describe('pieces of answers', () => {
  test.each([10, LARGE, 65_536, 100_000])(
    'a copy of %i bytes keeps them when the source is read into again',
    (length) => {
      const source = Buffer.alloc(length, 'a');
      const { bytes } = new Pieces().copy(source);
      source.fill('b');
      expect(bytes.equals(Buffer.alloc(length, 'a'))).toBe(true);
    },
  );

  test('memory is used again once its bytes were sent, and not before', () => {
    const pieces = new Pieces();
    const first = pieces.copy(Buffer.alloc(LARGE, '1'));
    const second = pieces.copy(Buffer.alloc(LARGE, '2'));
    expect(second.bytes.buffer).not.toBe(first.bytes.buffer);
    const memory = first.bytes.buffer;
    first.sent?.();
    const third = pieces.copy(Buffer.alloc(LARGE + 1, '3'));
    expect(third.bytes.buffer).toBe(memory);
    expect(third.bytes.toString()).toBe('3'.repeat(LARGE + 1));
    expect(second.bytes.toString()).toBe('2'.repeat(LARGE));
  });
});
