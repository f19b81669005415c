import { EbbError } from '../errors.ts';

/** From when on a body has to have come at the rate. */
const GRACE_MS = 30_000;
const BYTES_PER_SECOND = 4_096;

/**
 * The pieces of a body, as long as they come at 4 KiB a second on the whole; half a minute is given. Else throws
 * REQUEST_TIMEOUT: who sends a byte now and then would keep a connection, a file and a server that is to end.
 */
export async function* steadyChunks(
  chunks: AsyncIterable<Uint8Array>,
  { graceMs = GRACE_MS, bytesPerSecond = BYTES_PER_SECOND } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const beganMs = performance.now();
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    const lateMs = performance.now() - beganMs - graceMs;
    if (lateMs > 0 && bytes < (lateMs / 1000) * bytesPerSecond)
      throw new EbbError(
        'REQUEST_TIMEOUT',
        `the body comes too slowly: after ${graceMs / 1000} s it must have at least ${bytesPerSecond} bytes a second`,
      );
    yield chunk;
  }
}
