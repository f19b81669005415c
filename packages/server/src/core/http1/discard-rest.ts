import type { IncomingMessage } from 'node:http';

const MAX_DISCARDED_BYTES = 16 * 2 ** 20;
const MAX_DISCARD_MS = 10_000;

/**
 * Takes the unread rest of a refused request off the connection, so that the client, which sends first and reads
 * later, gets to see the refusal. A client that goes on and on is cut off.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed) return;
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_DISCARDED_BYTES) request.destroy();
  });
  const late = setTimeout(() => request.destroy(), MAX_DISCARD_MS).unref();
  request.once('close', () => clearTimeout(late));
  request.on('error', () => {});
  request.resume();
}
