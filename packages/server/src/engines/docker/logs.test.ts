import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { MAX_LINE_BYTES } from '../log-line.ts';
import { readLogLines } from './logs.ts';

const AT = '2026-11-21T08:00:00.123456789Z';

function frame(source: 1 | 2, text: string | Buffer): Buffer {
  const payload = Buffer.concat([Buffer.from(`${AT} `), Buffer.from(text)]);
  const header = Buffer.alloc(8);
  header[0] = source;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

async function read(bytes: Buffer, chunkBytes = bytes.length) {
  const chunks: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += chunkBytes) chunks.push(bytes.subarray(start, start + chunkBytes));
  return Array.fromAsync(readLogLines(Readable.from(chunks)));
}

describe('reading the log of a container', () => {
  test('gives lines with their moment and stream, however the bytes are cut', async () => {
    const bytes = Buffer.concat([
      frame(1, 'one\n'),
      frame(2, 'zwei ä\n'),
      frame(1, '\x1ecall-1\x1ethree\n'),
      frame(1, 'rest'),
    ]);
    for (const chunkBytes of [1, 7, bytes.length]) {
      expect(await read(bytes, chunkBytes)).toEqual([
        { at: '2026-11-21T08:00:00.123Z', source: 'stdout', text: 'one' },
        { at: '2026-11-21T08:00:00.123Z', source: 'stderr', text: 'zwei ä' },
        { at: '2026-11-21T08:00:00.123Z', source: 'stdout', text: 'three', callId: 'call-1' },
        { at: '2026-11-21T08:00:00.123Z', source: 'stdout', text: 'rest' },
      ]);
    }
  });

  test('joins the parts of a long line and caps it (case 45)', async () => {
    const part = Buffer.alloc(MAX_LINE_BYTES, 'x');
    const [line, next] = await read(
      Buffer.concat([frame(1, part), frame(1, part), frame(1, 'end\n'), frame(1, 'next\n')]),
    );
    expect(line?.text).toBe(`${'x'.repeat(MAX_LINE_BYTES)} [${MAX_LINE_BYTES + 3} bytes cut]`);
    expect(next?.text).toBe('next');
  });

  test('parts of a line on one stream do not mix with the other', async () => {
    const lines = await read(Buffer.concat([frame(1, 'a'), frame(2, 'b\n'), frame(1, 'c\n')]));
    expect(lines.map(({ source, text }) => [source, text])).toEqual([
      ['stderr', 'b'],
      ['stdout', 'ac'],
    ]);
  });

  test('a stream that makes no sense is an error, not a flood of memory', async () => {
    await expect(read(Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]))).rejects.toThrow('4294967295');
  });
});
