import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createContext } from './context.ts';
import { installLightFetch } from './light-globals.ts';
import { LightRequest } from './light-request.ts';
import { readSettings } from './settings.ts';
import { hasBody } from './shape.ts';

// The real class, before anything stands in for it: it is the oracle.
const RealRequest = Request;
installLightFetch();
const settings = readSettings({ EBB_SOCKET: '/s', EBB_CODE_DIR: '/c' });

let server: Server;
let listener: RequestListener = () => {};
beforeAll(async () => {
  server = createServer((incoming, outgoing) => listener(incoming, outgoing)).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

interface Sent {
  readonly method: string;
  readonly path?: string;
  /** Lines of the head, as they are sent. */
  readonly headers?: readonly string[];
  readonly body?: Buffer;
}

/** Sends a request as bytes, so that every spelling of a header can be sent, and gives what `use` makes of it. */
async function received<T>(
  toRequest: (incoming: IncomingMessage) => Request,
  { method, path = '/', headers = ['host: a.test'], body }: Sent,
  use: (request: Request) => T | Promise<T>,
): Promise<T> {
  const seen = Promise.withResolvers<T>();
  listener = (incoming, outgoing) => {
    // What the context needs of the response is all that is looked at.
    contexts.set(incoming, createContext(settings, incoming, outgoing));
    seen.resolve((async () => use(toRequest(incoming)))());
    const end = () => void outgoing.end();
    seen.promise.then(end, end);
  };
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const length = body === undefined ? [] : [`content-length: ${body.length}`];
  const head = [`${method} ${path} HTTP/1.1`, ...headers, ...length, 'connection: close', '', ''].join('\r\n');
  socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body ?? Buffer.alloc(0)]));
  try {
    return await seen.promise;
  } finally {
    socket.resume();
    await once(socket, 'close');
  }
}
const contexts = new WeakMap<IncomingMessage, ReturnType<typeof createContext>>();
const contextOf = (incoming: IncomingMessage) => contexts.get(incoming) as ReturnType<typeof createContext>;

const toLight = (incoming: IncomingMessage) => new LightRequest(incoming, contextOf(incoming)) as unknown as Request;
/** What a handler would get if nothing were light. */
function toReal(incoming: IncomingMessage): Request {
  const headers = new Headers();
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    headers.append(incoming.rawHeaders[index] ?? '', incoming.rawHeaders[index + 1] ?? '');
  }
  const { method = '', url = '' } = incoming;
  const withBody = method !== 'GET' && method !== 'HEAD' && hasBody(incoming);
  return new RealRequest(`http://${incoming.headers.host}${url}`, {
    method,
    headers,
    signal: contextOf(incoming).signal,
    ...(withBody ? { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: 'half' as const } : {}),
  });
}

/** What was seen of something, or the kind of error it ended with. */
async function outcome(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    return `throws ${error instanceof Error ? error.name : String(error)}`;
  }
}

/** Everything that shows of a request, one look at a time. */
const LOOKS: Readonly<Record<string, (request: Request) => unknown>> = {
  line: ({ method, url }) => [method, url],
  rest: ({ bodyUsed, cache, credentials, destination, integrity, keepalive, mode, redirect, referrer }) =>
    [bodyUsed, cache, credentials, destination, integrity, keepalive, mode, redirect, referrer], // prettier-ignore
  assign: (request) => ['method', 'url', 'cache', 'extra'].map((name) => Reflect.set(request, name, 'x')),
  headers: ({ headers }) => [...headers],
  entries: ({ headers }) => [Object.fromEntries(headers.entries()), [...headers.keys()], [...headers.values()]],
  forEach: ({ headers }) => {
    const seen: unknown[] = [];
    headers.forEach((value, name) => seen.push(name, value));
    return seen;
  },
  get: ({ headers }) => ['X-A', 'host', 'cookie', 'Set-Cookie', 'none'].map((name) => headers.get(name)),
  hasHeader: ({ headers }) => ['X-A', 'set-cookie', 'none'].map((name) => headers.has(name)),
  badName: ({ headers }) => headers.get('x a'),
  noName: ({ headers }) => (headers.get as () => unknown)(),
  cookies: ({ headers }) => headers.getSetCookie(),
  setHeader: ({ headers }) => headers.set('X-A', ' changed '),
  setBad: ({ headers }) => headers.set('x-a', 'a\nb'),
  appendHeader: ({ headers }) => headers.append('x-a', 'more'),
  deleteHeader: ({ headers }) => headers.delete('X-A'),
  copyOfHeaders: ({ headers }) => [...new Headers(headers)],
  classes: (request) => [
    request instanceof Request,
    request instanceof RealRequest,
    request.constructor === RealRequest,
    request.headers instanceof Headers,
    request.headers === request.headers,
    request.signal instanceof AbortSignal,
  ],
  tag: (request) => [
    Object.prototype.toString.call(request),
    Object.prototype.toString.call(request.headers),
    JSON.stringify(request),
    Object.keys(request),
  ],
  inspected: ({ headers }) => inspect(headers),
  has: (request) => ['json', 'body', 'clone', 'method', 'none'].map((name) => name in request),
  text: (request) => request.text(),
  json: (request) => request.json(),
  bytes: async (request) => {
    const bytes = await request.bytes();
    return [bytes.constructor === Uint8Array, [...bytes], bytes.buffer.byteLength];
  },
  arrayBuffer: async (request) => [...new Uint8Array(await request.arrayBuffer())],
  blob: async (request) => {
    const { size, type } = await request.blob();
    return [size, type];
  },
  formData: async (request) => [...(await request.formData())],
  clone: (request) => request.clone().text(),
  cloneHeaders: (request) => [...request.clone().headers],
  hasBody: ({ body }) => [body === null],
  body: async ({ body }) => body && new Response(body).text(),
  tee: async ({ body }) => body && new Response(body.tee()[0]).text(),
  locked: ({ body }) => {
    body?.getReader();
  },
  copy: (request) => new Request(request).text(),
  copyWith: (request) => {
    const copy = new Request(request, { headers: { b: 'c' } });
    return [copy.method, [...copy.headers]];
  },
  moved: (request) => {
    const copy = new Request('http://b.test/', request);
    return [copy.url, copy.method, [...copy.headers]];
  },
  subclass: (request) => {
    class Sub extends Request {}
    const sub = new Sub(request);
    return [sub instanceof Sub, request instanceof Sub, sub instanceof Request, sub.url];
  },
};

const HEADER_LINES = [
  'host: A.test',
  'X-A: 1',
  'x-a:  2 ',
  'x-a:\t3\t',
  'x-e:',
  'x-u: \xe9',
  'x-s: \xa0padded\xa0',
  'cookie: a=1',
  'Cookie: b=2',
  'set-cookie: c=3',
  'Set-Cookie: d=4',
  '__proto__: x',
  'content-type: application/json',
  'content-type: application/x-www-form-urlencoded',
  'content-type: Text/Plain; Charset=X',
];
const BODIES: Readonly<Record<string, string | undefined>> = {
  none: undefined,
  empty: '',
  text: 'text',
  json: '{"a":"ä"}',
  marked: '\ufeff{"b":1}',
  form: 'a=1&b=%20',
  long: 'x'.repeat(100_000),
};
const requests = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
  path: fc.constantFrom('/', '/a%20b/../c?d=1#e', '//x.test/y', '/?', '/%zz', '/a b'.replace(' ', '+')),
  headers: fc.subarray(HEADER_LINES).map((lines) => ['host: A.test:80', ...lines.slice(1)]),
  body: fc.constantFrom(...Object.keys(BODIES)),
});

describe('a light request', () => {
  test('shows what the real one shows, whatever was sent and is asked', async () => {
    const looks = fc.array(fc.constantFrom(...Object.keys(LOOKS)), { minLength: 1, maxLength: 5 });
    const property = fc.asyncProperty(requests, looks, async ({ body, ...rest }, names) => {
      const text = BODIES[body];
      const sent = text === undefined ? rest : { ...rest, body: Buffer.from(text) };
      const show = async (request: Request) => {
        const seen: unknown[] = [];
        for (const name of names) seen.push([name, await outcome(() => LOOKS[name]?.(request))]);
        return seen;
      };
      expect(await received(toLight, sent, show)).toEqual(await received(toReal, sent, show));
    });
    await fc.assert(property, { numRuns: 400 });
  });

  test('can be passed on by fetch, as it is and as the options of another', async () => {
    const other = createServer((incoming, outgoing) => void incoming.pipe(outgoing)).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const target = `http://127.0.0.1:${port}/`;
    const sent = { method: 'POST', headers: [`host: 127.0.0.1:${port}`], body: Buffer.from('ä') };
    expect(await received(toLight, sent, async (request) => (await fetch(request)).text())).toBe('ä');
    expect(await received(toLight, sent, async (request) => (await fetch(target, request)).text())).toBe('ä');
    other.close();
  });

  test('aborts its signal, and the reading of its body, when the caller goes away', async () => {
    for (const early of [true, false]) {
      const seen = Promise.withResolvers<unknown>();
      listener = (incoming, outgoing) => {
        const request = new LightRequest(incoming, createContext(settings, incoming, outgoing));
        const gone = once(request.signal, 'abort');
        const reading = early ? request.text() : gone.then(() => request.text());
        seen.resolve(Promise.all([gone, outcome(() => reading)]).then(([, read]) => [request.signal.aborted, read]));
      };
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf', () => {
        setTimeout(() => socket.destroy(), 20);
      });
      expect(await seen.promise).toEqual([true, 'throws Error']);
    }
  });

  test('takes a header of many blanks without effort', async () => {
    const headers = ['host: a', `x-a: b${' '.repeat(15_000)}c`];
    const length = await received(toLight, { method: 'GET', headers }, (request) => request.headers.get('x-a')?.length);
    expect(length).toBe(15_002);
  });
});
