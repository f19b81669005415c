import { expect, test } from 'vitest';
import { steadyChunks } from './steady-chunks.ts';

async function* every(ms: number, chunk: string): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 20; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    yield Buffer.from(chunk);
  }
}

test('19: a body that trickles in is given up, one that comes steadily is not', async () => {
  const limits = { graceMs: 20, bytesPerSecond: 1_000 };
  await expect(Array.fromAsync(steadyChunks(every(5, 'x'), limits))).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT' });
  expect(await Array.fromAsync(steadyChunks(every(5, 'x'.repeat(1_000)), limits))).toHaveLength(20);
  expect(await Array.fromAsync(steadyChunks(every(1, 'x')))).toHaveLength(20);
});
