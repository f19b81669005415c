import type { IncomingMessage } from 'node:http';

/**
 * The whole body of a request, or undefined when it is larger than allowed, which is seen at the first byte too many;
 * the rest is then read and dropped. Rejects when the caller goes away before its end, or has gone.
 */
export function readBody(incoming: IncomingMessage, mostBytes = Infinity): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const gone = (error?: Error) => reject(error ?? new Error('the caller went away before the end of the body'));
    if (incoming.destroyed) {
      gone();
      return;
    }
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes <= mostBytes) {
        chunks.push(chunk);
      } else {
        chunks.length = 0;
        resolve(undefined);
      }
    });
    incoming.once('end', () => {
      const [only] = chunks;
      resolve(chunks.length === 1 ? only : Buffer.concat(chunks));
    });
    incoming.once('error', gone);
    incoming.once('close', gone);
  });
}
