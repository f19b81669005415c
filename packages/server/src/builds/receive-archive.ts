import { open } from 'node:fs/promises';
import { formatBytes } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';

/**
 * Writes an upload to a new file and returns its length. Throws CODE_TOO_LARGE as soon as it is longer than
 * `maxBytes`, CODE_INVALID when it ends early, STORE_FAILED, or the reason of `signal`.
 */
export async function receiveArchive(
  archive: AsyncIterable<Uint8Array>,
  path: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<number> {
  const storeFailed = (cause: unknown): EbbError =>
    new EbbError('STORE_FAILED', 'the upload could not be written to the data directory; check its disk', { cause });
  const file = await open(path, 'wx', 0o600).catch((cause: unknown) => {
    throw storeFailed(cause);
  });
  try {
    let total = 0;
    for await (const chunk of untilAborted(archive, signal)) {
      total += chunk.byteLength;
      if (total > maxBytes) {
        throw new EbbError('CODE_TOO_LARGE', `the archive is longer than the ${formatBytes(maxBytes)} allowed`);
      }
      await file.writeFile(chunk).catch((cause: unknown) => {
        throw storeFailed(cause);
      });
    }
    return total;
  } finally {
    await file.close();
  }
}

/** The chunks of an upload; a silent sender does not outlast the signal. */
async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    while (true) {
      const next = await Promise.race([aborted, nextOf(iterator, signal)]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    // Not awaited: the sender may be silent for good.
    iterator.return?.().catch(() => {});
  }
}

async function nextOf(
  iterator: AsyncIterator<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<Uint8Array, unknown>> {
  try {
    return await iterator.next();
  } catch (cause) {
    if (signal?.aborted || cause instanceof EbbError) throw cause;
    throw new EbbError('CODE_INVALID', 'the upload ended before it was complete; send it again', { cause });
  }
}
