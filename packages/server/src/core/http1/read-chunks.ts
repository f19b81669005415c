import type { IncomingMessage } from 'node:http';

/** A sender that is silent for this long in the middle of a body is cut off. */
const SILENCE_MS = 30_000;

/**
 * The body's bytes as they come. Giving up on it leaves the connection open for the answer; a sender that falls
 * silent, or goes away, makes it throw.
 */
export async function* readChunks(request: IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  const startWaiting = () => setTimeout(() => request.destroy(new Error('the sender fell silent')), SILENCE_MS).unref();
  let silence = startWaiting();
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      // The time the reader takes is not the sender's silence.
      clearTimeout(silence);
      yield chunk;
      silence = startWaiting();
    }
  } finally {
    clearTimeout(silence);
  }
}
