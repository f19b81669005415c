import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { EbbError } from '../core/errors.ts';
import type { Lease, Payload } from '../store/queue.ts';
import { createUrlDeliverer } from './deliver-url.ts';
import { createEgress } from './egress/egress.ts';

const NOW = Date.parse('2026-01-02T03:04:05Z');
const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function receiver(answer: (response: ServerResponse) => void = (response) => void response.end('thanks')) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      seen.push({ headers: request.headers, body });
      answer(response);
    });
  });
  open.push({ close: () => server.close().closeAllConnections() });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/done` };
}

function lease(url: string, body: Payload = { kind: 'bytes', bytes: Buffer.from('hello') }, attempt = 1): Lease {
  return {
    attempt,
    receipt: 'r',
    record: {
      id: 'a-call.c0',
      namespace: 'team',
      lane: 'team/url:x',
      target: { kind: 'url', namespace: 'team', url },
      method: 'POST',
      path: '/',
      headers: ['content-type', 'text/plain', 'X-Call-Id', 'a-call'],
      body,
      acceptedAt: 0,
      runAt: 0,
      expiresAt: 0,
      priority: 4,
      state: 'running',
      seq: 1,
      attempts: [],
      begun: 1,
      failures: 0,
    },
  };
}

const KEY = { key: 'ebbsk_new', createdAt: '', previous: { key: 'ebbsk_old', until: '' } };

function deliverer(allow: string | undefined = '127.0.0.1', get = () => Promise.resolve(KEY)) {
  return createUrlDeliverer({
    egress: createEgress({ allow }),
    signingKeys: { get },
    files: { open: () => Readable.from([Buffer.from('hel'), Buffer.from('lo')]) },
    clock: { now: () => NOW },
    timeoutMs: 2000,
  });
}

/** What a receiver does, written down as in the docs: all of key, id, body and moment have to be right. */
function isGenuine(key: string, { headers, body }: Seen, now: number): boolean {
  const signature = String(headers['x-ebb-signature']);
  const seconds = Number(/^t=(\d+),/.exec(signature)?.[1]);
  if (!(Math.abs(now / 1000 - seconds) <= 300)) return false;
  const digest = createHash('sha256').update(body).digest('hex');
  const wanted = createHmac('sha256', key)
    .update(`${seconds}.${String(headers['x-ebb-delivery-id'])}.${digest}`)
    .digest();
  return [...signature.matchAll(/v1=([0-9a-f]{64})/g)].some(([, hex = '']) =>
    timingSafeEqual(Buffer.from(hex, 'hex'), wanted),
  );
}

describe('createUrlDeliverer', () => {
  test('posts the body with the headers of the item, the delivery’s id and the attempt’s number (A3)', async () => {
    const { seen, url } = await receiver();
    const delivered = await deliverer().deliver(lease(url, undefined, 3), new AbortController().signal);
    expect(delivered).toMatchObject({ verdict: 'answered', status: 200, result: { status: 200 } });
    expect(seen[0]?.headers).toMatchObject({
      'content-type': 'text/plain',
      'x-call-id': 'a-call',
      'x-ebb-delivery-id': 'a-call.c0',
      'x-ebb-attempt': '3',
      'user-agent': 'ebb-queue-worker',
    });
  });

  test('a post that was redriven is delivered under the id it had at first, and so signed', async () => {
    const { seen, url } = await receiver();
    const once = lease(url);
    const origin = { kind: 'redrive', of: 'second', first: 'first' } as const;
    await deliverer().deliver(
      { ...once, record: { ...once.record, id: 'third', origin } },
      new AbortController().signal,
    );
    const [got] = seen;
    if (!got) throw new Error('nothing came');
    expect(got.headers['x-ebb-delivery-id']).toBe('first');
    expect(isGenuine('ebbsk_new', got, NOW)).toBe(true);
  });

  test.each(['bytes', 'file', 'none'] as const)('case 28: a receiver can verify a body of kind %s', async (kind) => {
    const { seen, url } = await receiver();
    const digest = `sha256:${createHash('sha256').update('hello').digest('hex')}`;
    const bodies: Record<Payload['kind'], Payload> = {
      none: { kind: 'none' },
      bytes: { kind: 'bytes', bytes: Buffer.from('hello') },
      file: { kind: 'file', digest, sizeBytes: 5 },
    };
    await deliverer().deliver(lease(url, bodies[kind]), new AbortController().signal);
    const [got] = seen;
    if (!got) throw new Error('nothing came');
    expect(got.body.toString()).toBe(kind === 'none' ? '' : 'hello');
    expect(isGenuine('ebbsk_new', got, NOW)).toBe(true);
    // Signed with the key before as well, as long as it is in use.
    expect(isGenuine('ebbsk_old', got, NOW)).toBe(true);
  });

  test('case 28: another key, body, delivery or moment does not verify', async () => {
    const { seen, url } = await receiver();
    await deliverer().deliver(lease(url), new AbortController().signal);
    const [got] = seen;
    if (!got) throw new Error('nothing came');
    expect(isGenuine('ebbsk_other', got, NOW)).toBe(false);
    expect(isGenuine('ebbsk_new', { ...got, body: Buffer.from('hellp') }, NOW)).toBe(false);
    expect(isGenuine('ebbsk_new', { ...got, headers: { ...got.headers, 'x-ebb-delivery-id': 'x' } }, NOW)).toBe(false);
    expect(isGenuine('ebbsk_new', got, NOW + 301_000)).toBe(false);
    const later = String(got.headers['x-ebb-signature']).replace(/t=\d+/, `t=${NOW / 1000 + 900}`);
    const forged = { ...got, headers: { ...got.headers, 'x-ebb-signature': later } };
    expect(isGenuine('ebbsk_new', forged, NOW + 900_000)).toBe(false);
  });

  test('case 28: the receiver in docs/async.md takes a post once, and no other than what was sent', async () => {
    const page = await readFile(new URL('../../../../docs/async.md', import.meta.url), 'utf8');
    const code = /```js\n(import \{ createHash[\s\S]*?)```/.exec(page)?.[1] ?? '';
    const { isGenuine: inDocs } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
      readonly isGenuine: (key: string, headers: IncomingHttpHeaders, body: Buffer) => boolean;
    };
    const { seen, url } = await receiver();
    const now = createUrlDeliverer({
      egress: createEgress({ allow: '127.0.0.1' }),
      signingKeys: { get: () => Promise.resolve(KEY) },
      files: { open: () => Readable.from([]) },
      clock: { now: () => Date.now() },
    });
    await now.deliver(lease(url), new AbortController().signal);
    const [got] = seen;
    if (!got) throw new Error('nothing came');
    expect(inDocs('ebbsk_other', got.headers, got.body)).toBe(false);
    expect(inDocs('ebbsk_new', got.headers, Buffer.from('forged'))).toBe(false);
    expect(inDocs('ebbsk_new', { ...got.headers, 'x-ebb-signature': 'v1=00' }, got.body)).toBe(false);
    expect(inDocs('ebbsk_new', got.headers, got.body)).toBe(true);
    expect(inDocs('ebbsk_new', got.headers, got.body)).toBe(false);
  });

  test('case 27: a private address and a redirect are refused for good', async () => {
    const { seen, url } = await receiver(
      (response) => void response.writeHead(302, { location: 'http://10.0.0.1/' }).end(),
    );
    expect(await deliverer('10.0.0.1').deliver(lease(url), new AbortController().signal)).toMatchObject({
      verdict: 'refused',
      errorCode: 'DESTINATION_REFUSED',
    });
    expect(seen).toEqual([]);
    expect(await deliverer().deliver(lease(url), new AbortController().signal)).toMatchObject({
      verdict: 'refused',
      status: 302,
    });
  });

  test('what is no address at all is refused', async () => {
    for (const url of ['http://', 'http://[', 'mailto:x']) {
      expect(await deliverer().deliver(lease(url), new AbortController().signal)).toMatchObject({ verdict: 'refused' });
    }
  });

  test('an error is told with its status and with when to come again; a receiver that is gone is a failure', async () => {
    const { url } = await receiver((response) => void response.writeHead(503, { 'retry-after': '7' }).end());
    expect(await deliverer().deliver(lease(url), new AbortController().signal)).toMatchObject({
      verdict: 'answered',
      status: 503,
      retryAfterMs: 7000,
    });
    const gone = await deliverer().deliver(lease('http://127.0.0.1:1/'), new AbortController().signal);
    expect(gone).toMatchObject({ verdict: 'failed', message: '127.0.0.1:1 refused the connection' });
  });

  test('without a key nothing is posted, and whose fault that is is told', async () => {
    const { seen, url } = await receiver();
    const failing = (code: 'NAMESPACE_NOT_FOUND' | 'STORE_FAILED') =>
      deliverer('127.0.0.1', () => Promise.reject(new EbbError(code, 'no')));
    expect(await failing('NAMESPACE_NOT_FOUND').deliver(lease(url), new AbortController().signal)).toMatchObject({
      verdict: 'gone',
    });
    expect(await failing('STORE_FAILED').deliver(lease(url), new AbortController().signal)).toMatchObject({
      verdict: 'platform',
    });
    expect(seen).toEqual([]);
  });

  test('aborting ends an attempt', async () => {
    const { url } = await receiver(() => {});
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    expect(await deliverer().deliver(lease(url), controller.signal)).toMatchObject({ verdict: 'aborted' });
  });
});
