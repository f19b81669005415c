import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type RequestListener,
  type Server,
} from 'node:http';
import { text as readText } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContext } from './context.ts';
import { installLightFetch } from './light-globals.ts';
import { sendParts } from './light-response.ts';
import { sendResponse } from './send-response.ts';
import { readSettings } from './settings.ts';

// The real classes, before anything stands in for them: they are the oracle.
const Real = { Request, Response, Headers };
const { LightResponse, toRequest } = installLightFetch();
const settings = readSettings({ EBB_SOCKET: '/s', EBB_CODE_DIR: '/c' });

let server: Server;
let listener: RequestListener = () => {};
beforeAll(async () => {
  server = createServer((incoming, outgoing) => listener(incoming, outgoing)).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

async function call(options: { method?: string; path?: string; headers?: Record<string, string>; body?: string } = {}) {
  const { port } = server.address() as AddressInfo;
  const { body, ...rest } = options;
  const sent = httpRequest({ host: '127.0.0.1', port, agent: false, ...rest });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const { date: _date, ...headers } = response.headers;
  return { status: response.statusCode, headers, body: await readText(response) };
}

/** The light one knows its length, where the real one may be sent in chunks. */
function withoutFraming({ headers, ...rest }: Awaited<ReturnType<typeof call>>) {
  const { 'content-length': _length, 'transfer-encoding': _encoding, ...others } = headers;
  return { ...rest, headers: others };
}

describe('a light response', () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const cases: readonly [string, (R: typeof Response) => Response][] = [
    ['text', (R) => new R('hello')],
    ['non-ASCII text', (R) => new R('hällo ✓')],
    ['empty text', (R) => new R('')],
    ['nothing', (R) => new R()],
    ['null with a status', (R) => new R(null, { status: 404 })],
    ['204', (R) => new R(null, { status: 204 })],
    ['304', (R) => new R(null, { status: 304, headers: { etag: '"a"' } })],
    ['bytes', (R) => new R(bytes)],
    ['headers', (R) => new R('x', { status: 201, headers: { 'x-a': 'b', 'content-type': 'text/html' } })],
    ['headers in capitals', (R) => new R('x', { headers: { 'X-A': 'b', 'Content-Type': 'text/html' } })],
    [
      'headers as pairs',
      (R) =>
        new R('x', {
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
          ],
        }),
    ],
    ['headers as Headers', (R) => new R('x', { headers: new Real.Headers({ 'x-a': '1' }) })],
    ['a header that is not text', (R) => new R('x', { headers: { 'x-n': 5 as unknown as string } })],
    ['a header in Latin 1', (R) => new R('x', { headers: { 'x-n': 'é' } })],
    ['a status text', (R) => new R('x', { status: 299, statusText: 'Nearly' })],
    ['JSON', (R) => R.json({ a: [1] })],
    [
      'JSON with a type',
      (R) => R.json({ a: 1 }, { status: 202, headers: { 'content-type': 'application/problem+json' } }),
    ],
    ['a redirect', (R) => R.redirect('http://x.test/y', 303)],
    ['a stream', (R) => new R(new Blob(['one', 'two']).stream())],
    ['search parameters', (R) => new R(new URLSearchParams({ a: 'b' }))],
    [
      'a changed header',
      (R) => {
        const response = new R('x');
        response.headers.set('x-late', 'yes');
        return response;
      },
    ],
    ['a clone', (R) => new R('twice').clone()],
    ['a subclass', (R) => new (class extends R {})('sub')],
  ];

  test.each(cases)('of %s is sent as the real one', async (_what, make) => {
    listener = (_incoming, outgoing) => void sendResponse(make(Real.Response), outgoing);
    const expected = await call();
    listener = (_incoming, outgoing) => {
      const response: unknown = make(Response);
      const parts = LightResponse.isLight(response) ? LightResponse.parts(response) : undefined;
      if (parts) sendParts(parts, outgoing);
      else
        void sendResponse(
          LightResponse.isLight(response) ? LightResponse.real(response) : (response as Response),
          outgoing,
        );
    };
    expect(withoutFraming(await call())).toEqual(withoutFraming(expected));
  });

  test.each(cases)('of %s reads as the real one', async (_what, make) => {
    const show = async (response: Response) => ({
      status: response.status,
      ok: response.ok,
      type: response.type,
      headers: [...response.headers],
      text: await response.text(),
      bodyUsed: response.bodyUsed,
    });
    const light = make(Response);
    expect(light instanceof Response).toBe(true);
    expect(await show(light)).toEqual(await show(make(Real.Response)));
  });

  test.each<[string, (R: typeof Response) => Response]>([
    ['a status out of range', (R) => new R('x', { status: 99 })],
    ['a body with 204', (R) => new R('x', { status: 204 })],
    ['a header with a line end', (R) => new R('x', { headers: { 'x-a': 'b\r\nc: d' } })],
    ['a malformed header name', (R) => new R('x', { headers: { 'x a': 'b' } })],
    ['JSON of nothing', (R) => R.json(undefined)],
  ])('with %s is refused as the real one is', (_what, make) => {
    expect(() => make(Real.Response)).toThrow();
    expect(() => make(Response)).toThrow();
  });

  test('keeps what it was given, whatever becomes of it', () => {
    const body = Uint8Array.of(1);
    const response: unknown = new Response(body);
    body[0] = 9;
    expect(LightResponse.isLight(response) && LightResponse.parts(response)?.body).toEqual(Uint8Array.of(1));
  });
});

describe('a light request', () => {
  /** What `use` makes of the request that a call with these options becomes. */
  async function received<T>(use: (request: Request) => T | Promise<T>, options: Parameters<typeof call>[0] = {}) {
    const seen = Promise.withResolvers<T>();
    listener = (incoming, outgoing) => {
      const request = toRequest(incoming, createContext(settings, incoming, outgoing));
      seen.resolve((async () => use(request))());
      seen.promise.then(
        () => outgoing.end(),
        () => outgoing.end(),
      );
    };
    await call(options);
    return seen.promise;
  }
  const post = { method: 'POST', body: '{"a":"ä"}', headers: { 'content-type': 'application/json', 'X-A': ' 1 ' } };

  test('shows method, URL and headers', async () => {
    const sent = await received(
      (request) => [request.method, request.url, request.headers.get('X-a'), request.headers.get('none')],
      { ...post, path: '/a%20b/../c?d=1', headers: { ...post.headers, host: 'Example.test:80' } },
    );
    expect(sent).toEqual(['POST', 'http://example.test/c?d=1', '1', null]);
  });

  test.each<[string, (request: Request) => Promise<unknown>, unknown]>([
    ['text', (request) => request.text(), '{"a":"ä"}'],
    ['json', (request) => request.json(), { a: 'ä' }],
    ['arrayBuffer', async (request) => (await request.arrayBuffer()).byteLength, 10],
    ['blob', async (request) => (await request.blob()).size, 10],
    ['clone', async (request) => [await request.clone().text(), await request.text()], ['{"a":"ä"}', '{"a":"ä"}']],
    ['body', (request) => new Real.Response(request.body).text(), '{"a":"ä"}'],
    ['a copy', (request) => new Request(request).text(), '{"a":"ä"}'],
    ['a copy with other headers', (request) => new Request(request, { headers: { b: 'c' } }).text(), '{"a":"ä"}'],
  ])('gives its body by %s', async (_what, read, expected) => {
    expect(await received(read, post)).toEqual(expected);
  });

  test('a body can be read once', async () => {
    const twice = await received(async (request) => {
      const before = request.bodyUsed;
      await request.text();
      return [before, request.bodyUsed, await request.text().catch((error: unknown) => error instanceof TypeError)];
    }, post);
    expect(twice).toEqual([false, true, true]);
  });

  test('without a body it has none', async () => {
    const seen = await received(async (request) => [request.body, await request.text(), request.bodyUsed]);
    expect(seen).toEqual([null, '', false]);
  });

  test('is an instance of what it stands for, and what is rarely asked is answered', async () => {
    const seen = await received(
      (request) => [
        request instanceof Request,
        request.headers instanceof Headers,
        new Headers(request.headers).get('x-a'),
        request.redirect,
        request.signal instanceof AbortSignal,
        Object.prototype.toString.call(request),
      ],
      post,
    );
    expect(seen).toEqual([true, true, '1', 'follow', true, '[object Request]']);
  });

  test('can be passed on by fetch', async () => {
    const other = createServer((incoming, outgoing) => void incoming.pipe(outgoing)).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const target = `http://127.0.0.1:${port}/`;
    const echoed = await received(async (request) => (await fetch(new Request(target, request))).text(), post);
    expect(echoed).toBe('{"a":"ä"}');
    other.close();
  });
});
