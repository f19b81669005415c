import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/**
 * Sends bytes as they come, at the speed of the client. Headers go out at once, so that a client that sends while it
 * reads knows that it is heard. A failure cuts the connection.
 */
export async function streamBytes(
  response: ServerResponse,
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  response.flushHeaders();
  try {
    for await (const piece of pieces) {
      if (signal.aborted) break;
      if (!response.write(piece)) await once(response, 'drain', { signal });
    }
    response.end();
  } catch (error) {
    response.destroy();
    if (!signal.aborted) throw error;
  }
}
