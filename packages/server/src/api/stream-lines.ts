import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/**
 * Sends each value as a line of JSON until there are no more or `signal` aborts, at the speed of the client. Headers
 * go out at once, so that a follower of a silent log knows that it is connected. A failure after that cuts the
 * connection, as a status can no longer tell of it.
 */
export async function streamLines(
  response: ServerResponse,
  values: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  response.flushHeaders();
  try {
    for await (const value of values) {
      if (signal.aborted) break;
      if (!response.write(`${JSON.stringify(value)}\n`)) await once(response, 'drain', { signal });
    }
    response.end();
  } catch (error) {
    if (signal.aborted) {
      response.end();
      return;
    }
    response.destroy();
    throw error;
  }
}
