import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** Headers about one connection, which a response taken from elsewhere must not bring along. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
  'te',
  'trailer',
]);

/** Sends a Web-standard response, streaming its body as fast as the caller takes it. */
export async function sendResponse(response: Response, outgoing: ServerResponse): Promise<void> {
  if (outgoing.destroyed) {
    await response.body?.cancel();
    return;
  }
  outgoing.statusCode = response.status;
  if (response.statusText) outgoing.statusMessage = response.statusText;
  // fetch() decodes what it received, so its encoding and length no longer describe the body.
  const isDecoded = response.type !== 'default' && response.headers.has('content-encoding');
  for (const [name, value] of response.headers) {
    if (HOP_BY_HOP.has(name) || (isDecoded && (name === 'content-encoding' || name === 'content-length'))) continue;
    if (name === 'set-cookie') outgoing.appendHeader(name, value);
    else outgoing.setHeader(name, value);
  }
  if (response.body === null || outgoing.req.method === 'HEAD') {
    await response.body?.cancel();
    outgoing.end();
    return;
  }
  await sendBody(response.body, outgoing);
}

async function sendBody(body: ReadableStream<Uint8Array>, outgoing: ServerResponse): Promise<void> {
  const reader = body.getReader();
  const cancel = () => {
    reader.cancel(new DOMException('the caller went away', 'AbortError')).catch(() => {});
  };
  outgoing.once('close', cancel);
  let reading = reader.read();
  // A server-sent event stream is open before its first event.
  if (!(await isSettledSoon(reading))) outgoing.flushHeaders();
  let chunk = await reading;
  while (!chunk.done) {
    reading = reader.read();
    if (!outgoing.headersSent && (await isSettledSoon(reading)) && (await reading).done) {
      // The body was whole from the start: one write with its length, instead of chunks.
      if (!outgoing.hasHeader('content-length')) outgoing.setHeader('content-length', chunk.value.byteLength);
      outgoing.off('close', cancel);
      outgoing.end(chunk.value);
      return;
    }
    if (!outgoing.write(chunk.value) && !outgoing.destroyed) await drained(outgoing);
    chunk = await reading;
  }
  outgoing.off('close', cancel);
  outgoing.end();
}

/** Whether a promise settles by work that is already queued. A rejection counts and is left to who awaits it. */
async function isSettledSoon(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  const settle = () => {
    isSettled = true;
  };
  promise.then(settle, settle);
  for (let turn = 0; turn < 5 && !isSettled; turn += 1) await Promise.resolve();
  return isSettled;
}

async function drained(outgoing: ServerResponse): Promise<void> {
  const stop = new AbortController();
  try {
    await Promise.race([
      once(outgoing, 'drain', { signal: stop.signal }),
      once(outgoing, 'close', { signal: stop.signal }),
    ]);
  } finally {
    stop.abort();
  }
}
