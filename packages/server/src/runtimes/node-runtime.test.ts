import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../core/logger.ts';
import { awaitReady } from '../engines/await-ready.ts';
import type { Engine, EngineLogLine, InstanceExit, Target } from '../engines/engine.ts';
import { createProcessEngine } from '../engines/process/process-engine.ts';
import { readProcess } from '../engines/process/proc.ts';
import { prepareNodeRuntime } from './prepare-runtime.ts';

interface Sent {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe('the Node runtime', { timeout: 30_000 }, () => {
  let dataDir: string;
  let engine: Engine;
  let made = 0;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ebb-'));
    const runtime = await prepareNodeRuntime({ dataDir });
    const logger = createLogger('silent');
    engine = createProcessEngine({ installation: 'one', runDir: join(dataDir, 'run'), runtime, logger });
  });
  afterAll(async () => {
    for (const { id } of await engine.list()) await engine.stop(id, { graceMs: 0 });
    await engine[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true });
  });

  /** Starts a function with the given files; it is ready, or its start failed with START_FAILED. */
  async function start(files: Record<string, string>, env: Record<string, string> = {}) {
    made += 1;
    const id = `f-${made}`;
    const codeDir = join(dataDir, 'code', id);
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(codeDir, name)), { recursive: true });
      await writeFile(join(codeDir, name), content);
    }
    const done = new AbortController();
    const events = engine.events(done.signal);
    const exited = (async (): Promise<InstanceExit> => {
      for await (const event of events) if (event.id === id && event.exit) return event.exit;
      return new Promise(() => {});
    })();
    const { target } = await engine.create({
      id,
      labels: { installation: 'one', namespace: 'openfaas-fn', function: 'f', version: 7, generation: 'g1' },
      source: { kind: 'code', runtime: 'node', codeDir },
      env: { EBB_FUNCTION: 'f', EBB_NAMESPACE: 'openfaas-fn', EBB_VERSION: '7', ...env },
      secrets: { token: Buffer.from('s3cret') },
      limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 256, tmpBytes: 2 ** 26 },
      tenant: 1,
      user: 'tenant',
      network: 'egress',
      readOnlyRootFilesystem: true,
    });
    const logs = async (): Promise<readonly EngineLogLine[]> => {
      const lines: EngineLogLine[] = [];
      for await (const line of engine.logs(id, { follow: false })) lines.push(line);
      return lines;
    };
    const ready = awaitReady(target, { signal: AbortSignal.timeout(20_000), exited });
    ready.catch(() => {});
    return { id, target, ready, exited, logs };
  }
  const startReady = async (files: Record<string, string>, env: Record<string, string> = {}) => {
    const started = await start(files, env);
    await started.ready;
    return started;
  };
  /** The last log line of a function whose start fails. */
  const failure = async (files: Record<string, string>, env: Record<string, string> = {}) => {
    const started = await start(files, env);
    await expect(started.ready).rejects.toMatchObject({ code: 'START_FAILED' });
    expect(await started.exited).toMatchObject({ code: 1 });
    return (await started.logs()).at(-1)?.text ?? '';
  };

  const open = (target: Target, path: string, options: Record<string, unknown> = {}): ClientRequest =>
    request({ socketPath: target.kind === 'unix' ? target.path : '', path, agent: false, ...options });
  const send = async (
    target: Target,
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
  ): Promise<Sent> => {
    const method = options.method ?? (options.body === undefined ? 'GET' : 'POST');
    const sent = open(target, path, { method, headers: options.headers ?? {} });
    sent.end(options.body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, headers: response.headers, body: await readText(response) };
  };
  const json = { 'content-type': 'application/json' };

  describe('fetch handlers', () => {
    test('a TypeScript default export gets a Request and answers with a Response', async () => {
      const { target } = await startReady({
        'index.ts': `
          interface Seen { readonly method: string }
          export default {
            async fetch(request: Request, context: { readonly callId: string }): Promise<Response> {
              const seen: Seen & Record<string, unknown> = {
                method: request.method, url: request.url, header: request.headers.get('x-thing'),
                body: await request.text(), callId: context.callId,
              };
              return Response.json(seen, { status: 201, headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2']] });
            },
          };`,
      });
      const answer = await send(target, '/a/b?c=d', {
        method: 'PUT',
        body: 'hello',
        headers: { host: 'example.test', 'x-thing': 'yes', 'x-call-id': 'call-1', 'x-forwarded-proto': 'https' },
      });
      expect(answer.status).toBe(201);
      expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
      expect(answer.headers['content-length']).toBe(String(answer.body.length));
      expect(JSON.parse(answer.body)).toEqual({
        method: 'PUT',
        url: 'https://example.test/a/b?c=d',
        header: 'yes',
        body: 'hello',
        callId: 'call-1',
      });
    });

    test('a named fetch export works, and HEAD, 204 and null bodies have no body', async () => {
      const { target } = await startReady({
        'index.mjs': `export function fetch(request) {
          const { pathname } = new URL(request.url);
          if (pathname === '/204') return new Response(null, { status: 204 });
          return new Response('body', { headers: { 'x-path': pathname } });
        }`,
      });
      expect(await send(target, '/204')).toMatchObject({ status: 204, body: '' });
      expect(await send(target, '/x', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
      expect(await send(target, '/x')).toMatchObject({ status: 200, body: 'body' });
    });

    test('a handler that asks for little does not load fetch, which would slow its start', async () => {
      const { target } = await startReady({
        'index.mjs': `export default { async fetch(request) {
          const seen = [new URL(request.url).pathname, request.headers.get('host'), await request.text()];
          const loaded = process.moduleLoadList.filter((name) => name.includes('undici'));
          return Response.json([...seen, loaded], { status: 200, headers: { 'x-a': 'b' } });
        } };`,
      });
      const answer = await send(target, '/p', { body: 'text', headers: { host: 'h' } });
      expect(JSON.parse(answer.body)).toEqual(['/p', 'h', 'text', []]);
    });

    test('a handler that kept the real classes when it was loaded is given what they take', async () => {
      const { target } = await startReady({
        'index.mjs': `class Mine extends Request {}
          export default { async fetch(request) {
            const mine = new Mine(request, { headers: { 'x-a': 'b' } });
            return new Response([mine.method, mine.headers.get('x-a'), await mine.text(), request instanceof Request]);
          } };`,
      });
      expect(await send(target, '/', { body: 'text' })).toMatchObject({ status: 200, body: 'POST,b,text,true' });
    });

    test('bodies stream both ways at once', async () => {
      const { target } = await startReady({
        'index.ts': `export default { fetch: (request: Request) => new Response(request.body) };`,
      });
      const sent = open(target, '/', { method: 'POST' });
      sent.write('first');
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      expect(String((await once(response, 'data'))[0])).toBe('first');
      const next = once(response, 'data');
      sent.write('second');
      expect(String((await next)[0])).toBe('second');
      sent.end();
      await once(response, 'end');
    });

    test('server-sent events arrive one by one, and the answer begins before the first', async () => {
      const { target } = await startReady({
        'index.mjs': `
          let go;
          export default { fetch(request) {
            if (new URL(request.url).pathname === '/go') { go(); return new Response('went'); }
            const body = new ReadableStream({ start(controller) {
              const encoder = new TextEncoder();
              let count = 0;
              go = () => controller.enqueue(encoder.encode('data: ' + (count += 1) + '\\n\\n'));
            } });
            return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
          } };`,
      });
      const sent = open(target, '/events');
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      expect(response.headers['content-type']).toBe('text/event-stream');
      for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
        const arrived = once(response, 'data');
        await send(target, '/go');
        expect(String((await arrived)[0])).toBe(event);
      }
      sent.destroy();
    });

    test('a slow reader holds the producer back, and a large body arrives whole', async () => {
      const { target } = await startReady({
        'index.mjs': `
          let produced = 0;
          export default { fetch(request) {
            if (new URL(request.url).pathname === '/produced') return new Response(String(produced));
            const block = new Uint8Array(65536);
            return new Response(new ReadableStream({ pull(controller) {
              produced += 1;
              controller.enqueue(block);
              if (produced === 512) controller.close();
            } }));
          } };`,
      });
      const sent = open(target, '/');
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      const produced = async () => Number((await send(target, '/produced')).body);
      await expect.poll(produced).toBeGreaterThan(0);
      const before = await produced();
      expect(before).toBeLessThan(256);
      let received = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) received += chunk.length;
      expect(received).toBe(512 * 65_536);
    });

    test('a caller that goes away aborts the request and cancels the answer', async () => {
      const { target } = await startReady({
        'index.mjs': `
          const seen = [];
          export default { fetch(request, context) {
            if (new URL(request.url).pathname === '/seen') return Response.json(seen);
            request.signal.addEventListener('abort', () => seen.push('request.signal'));
            context.signal.addEventListener('abort', () => seen.push('context.signal'));
            return new Response(new ReadableStream({
              start(controller) { controller.enqueue(new Uint8Array(1)); },
              cancel() { seen.push('cancel'); },
            }));
          } };`,
      });
      const sent = open(target, '/');
      sent.on('error', () => {});
      sent.end();
      await once(sent, 'response');
      sent.destroy();
      const seen = async () => JSON.parse((await send(target, '/seen')).body).toSorted();
      await expect.poll(seen).toEqual(['cancel', 'context.signal', 'request.signal']);
    });

    test('a completed request is not aborted', async () => {
      const { target } = await startReady({
        'index.mjs': `
          let aborted = 0;
          export default { fetch(request) {
            const answer = String(aborted);
            request.signal.addEventListener('abort', () => { aborted += 1; });
            return new Response(answer);
          } };`,
      });
      await send(target, '/');
      await send(target, '/');
      expect((await send(target, '/')).body).toBe('0');
    });

    test('an error is a 500 with its message and without its stack, which is logged', async () => {
      const { target, logs } = await startReady({
        'index.mjs': `export default { async fetch(request) {
          if (new URL(request.url).pathname === '/nothing') return undefined;
          throw new Error('it broke');
        } };`,
      });
      const answer = await send(target, '/', { headers: { 'x-call-id': 'c-1' } });
      expect(answer).toMatchObject({ status: 500, body: '{"error":"it broke"}' });
      await expect.poll(async () => (await logs()).map(({ text }) => text).join('\n')).toContain('index.mjs:3');
      expect((await logs())[0]).toMatchObject({ source: 'stderr', callId: 'c-1', text: 'Error: it broke' });
      expect((await send(target, '/nothing')).body).toContain('not a Response');
    });

    test('an error after the answer began cuts the connection', async () => {
      const { target } = await startReady({
        'index.mjs': `export default { fetch: () => new Response(new ReadableStream({
          async pull(controller) {
            if (this.sent) throw new Error('too late');
            this.sent = true;
            controller.enqueue(new TextEncoder().encode('some'));
            await new Promise((resolve) => setTimeout(resolve, 5));
          } })) };`,
      });
      await expect(send(target, '/')).rejects.toThrow('aborted');
      await expect(send(target, '/')).rejects.toThrow('aborted');
    });
  });

  describe('event handlers', () => {
    const echo = `export const handler = async (event, context) => ({
      event: Buffer.isBuffer(event) ? { bytes: [...event] } : event, id: context.callId });`;

    test('a JSON body is the event, and the result is JSON', async () => {
      const { target } = await startReady({ 'index.mjs': echo });
      const answer = await send(target, '/', { body: '{"a":[1,2]}', headers: { ...json, 'x-call-id': 'c' } });
      expect(answer.headers['content-type']).toBe('application/json');
      expect(JSON.parse(answer.body)).toEqual({ event: { a: [1, 2] }, id: 'c' });
    });

    test('other bodies are text or bytes, and without one the query is the event', async () => {
      const { target } = await startReady({ 'index.mjs': echo });
      const event = async (path: string, body?: string | Buffer, type?: string) => {
        const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
        return JSON.parse((await send(target, path, { headers, ...(body === undefined ? {} : { body }) })).body).event;
      };
      expect(await event('/', 'hällo', 'text/plain; charset=utf-8')).toBe('hällo');
      expect(await event('/', 'a=b', 'application/x-www-form-urlencoded')).toBe('a=b');
      expect(await event('/', Buffer.from([0, 255]), 'image/png')).toEqual({ bytes: [0, 255] });
      expect(await event('/?name=x&n=1')).toEqual({ name: 'x', n: '1' });
      expect(await event('/')).toEqual({});
      expect(await event('/', '{"specversion":"1.0"}', 'application/cloudevents+json')).toEqual({ specversion: '1.0' });
    });

    test('broken JSON is a 400', async () => {
      const { target } = await startReady({ 'index.mjs': echo });
      const answer = await send(target, '/', { body: '{"a":', headers: json });
      expect(answer.status).toBe(400);
      expect(answer.body).toContain('not valid JSON');
    });

    test('the result says how it is answered', async () => {
      const { target } = await startReady({
        'index.cjs': `exports.handler = ({ kind }) => ({
          text: 'hello', bytes: new Uint8Array([1, 2]), nothing: undefined, null: null, number: 5, list: [1],
          bare: Object.groupBy([1], () => 'all'), odd: { constructor: null },
          response: new Response('made', { status: 418 }),
        })[kind];`,
      });
      const result = async (kind: string) => {
        const { status, headers, body } = await send(target, `/?kind=${kind}`);
        return [status, headers['content-type'], body];
      };
      expect(await result('text')).toEqual([200, 'text/plain; charset=utf-8', 'hello']);
      expect(await result('bytes')).toEqual([200, 'application/octet-stream', '\x01\x02']);
      expect(await result('nothing')).toEqual([204, undefined, '']);
      expect(await result('null')).toEqual([200, 'application/json', 'null']);
      expect(await result('number')).toEqual([200, 'application/json', '5']);
      expect(await result('list')).toEqual([200, 'application/json', '[1]']);
      expect(await result('bare')).toEqual([200, 'application/json', '{"all":[1]}']);
      expect(await result('odd')).toEqual([200, 'application/json', '{"constructor":null}']);
      expect(await result('response')).toEqual([418, 'text/plain;charset=UTF-8', 'made']);
    });

    test('a default function of an event works, also as CommonJS', async () => {
      const esm = await startReady({ 'index.ts': 'export default (event: { n: number }) => event.n + 1;' });
      expect((await send(esm.target, '/', { body: '{"n":1}', headers: json })).body).toBe('2');
      const cjs = await startReady({ 'index.js': 'module.exports = async (event) => event.n + 2;' });
      expect((await send(cjs.target, '/', { body: '{"n":1}', headers: json })).body).toBe('3');
    });

    test('the context tells about the call and gives secrets', async () => {
      const { target } = await startReady(
        {
          'index.mjs': `export const handler = async (_event, context) => ({
            f: context.function, n: context.namespace, v: context.version,
            left: context.remainingMs() > 0 && context.remainingMs() <= 5000, deadline: context.deadline,
            secret: await context.secret('token'), missing: await context.secret('other').catch((e) => e.message),
            outside: await context.secret('../state.json').catch((e) => e.message),
            aborted: context.signal.aborted,
          });`,
        },
        { EBB_TIMEOUT_MS: '5000' },
      );
      const soon = Date.now() + 4000;
      const answer = JSON.parse((await send(target, '/', { headers: { 'x-ebb-deadline': String(soon) } })).body);
      expect(answer).toMatchObject({ f: 'f', n: 'openfaas-fn', v: 7, left: true, deadline: soon, aborted: false });
      expect(answer.secret).toBe('s3cret');
      expect(answer.missing).toContain('no secret "other"');
      expect(answer.outside).toContain('no secret');
      expect(JSON.parse((await send(target, '/')).body).left).toBe(true);
    });
  });

  describe('Node handlers', () => {
    test('a listener answers by itself, and its errors are 500', async () => {
      const { target } = await startReady({
        'index.mjs': `export default async function (req, res) {
          if (req.url === '/fail') throw new Error('no luck');
          res.setHeader('x-a', '1');
          res.end(req.method + ' ' + req.url);
        }`,
      });
      expect(await send(target, '/x?y')).toMatchObject({ status: 200, body: 'GET /x?y' });
      expect(await send(target, '/fail')).toMatchObject({ status: 500, body: '{"error":"no luck"}' });
    });

    test('a middleware is given next', async () => {
      const { target } = await startReady({
        'index.mjs': `export default (req, res, next) => req.url === '/mine' ? res.end('mine') : next();`,
      });
      expect(await send(target, '/mine')).toMatchObject({ status: 200, body: 'mine' });
      expect(await send(target, '/other')).toMatchObject({ status: 404 });
    });

    test('an application with handle is called like a listener', async () => {
      const { target } = await startReady({
        'index.cjs': `const app = (a, b, c) => app.handle(a, b, c);
          app.handle = (a, b, c) => b.end('app ' + typeof c);
          module.exports = app;`,
      });
      expect((await send(target, '/')).body).toBe('app undefined');
    });

    test('a server is served without being told to listen, upgrades included', async () => {
      const { target } = await startReady({
        'index.mjs': `import { createServer } from 'node:http';
          const server = createServer((req, res) => res.end('server'));
          server.on('upgrade', (req, socket, head) => {
            socket.write('HTTP/1.1 101 Switching Protocols\\r\\nconnection: upgrade\\r\\nupgrade: echo\\r\\n\\r\\n');
            socket.pipe(socket);
          });
          export default server;`,
      });
      expect((await send(target, '/')).body).toBe('server');
      const sent = open(target, '/', { headers: { connection: 'upgrade', upgrade: 'echo' } });
      sent.end();
      const [, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, NodeJS.Socket & { destroy(): void }];
      socket.write('ping');
      expect(String((await once(socket, 'data'))[0])).toBe('ping');
      socket.destroy();
    });

    test('an upgrade export takes over the connection', async () => {
      const { target } = await startReady({
        'index.mjs': `export default { fetch: () => new Response('page') };
          export function upgrade(request, socket, head) {
            socket.end('HTTP/1.1 101 Switching Protocols\\r\\nconnection: upgrade\\r\\nupgrade: echo\\r\\n\\r\\nhi ' + request.url);
          }`,
      });
      expect((await send(target, '/')).body).toBe('page');
      const sent = open(target, '/ws', { headers: { connection: 'upgrade', upgrade: 'echo' } });
      sent.end();
      const [, socket, head] = (await once(sent, 'upgrade')) as [IncomingMessage, NodeJS.ReadableStream, Buffer];
      expect(head.toString() + (await readText(socket))).toBe('hi /ws');
    });
  });

  describe('finding and loading the handler', () => {
    test('the file and export named by the spec are used, and its signature', async () => {
      const files = { 'src/work.ts': 'export const run = (x: unknown, res: unknown) => typeof res;' };
      const asEvent = await startReady(files, { EBB_HANDLER: 'src/work.ts#run', EBB_SIGNATURE: 'event' });
      expect((await send(asEvent.target, '/')).body).toBe('object');
    });

    test('package.json main and node_modules are honoured', async () => {
      const { target } = await startReady({
        'package.json': '{"type":"module","main":"lib/main.js"}',
        'lib/main.js': `import { greet } from 'greeter'; export default { fetch: () => new Response(greet()) };`,
        'node_modules/greeter/package.json': '{"name":"greeter","exports":"./g.js"}',
        'node_modules/greeter/g.js': `exports.greet = () => 'from a package';`,
      });
      expect((await send(target, '/')).body).toBe('from a package');
    });

    test('relative reads find the code, writes stay in the instance', async () => {
      const { target } = await startReady({
        'data.txt': 'data',
        'index.mjs': `import { readFileSync, writeFileSync } from 'node:fs';
          export const handler = () => { writeFileSync('out.txt', 'x'); return readFileSync('data.txt', 'utf8') + process.env.HOME; };`,
      });
      expect((await send(target, '/')).body).toMatch(/^data.*\/i\/f-\d+\/work$/);
    });

    test.each([
      ['no file', { 'readme.md': '' }, {}, 'there is no handler file: the code needs one of index.ts'],
      [
        'a missing file',
        { 'a.js': '' },
        { EBB_HANDLER: 'b.js' },
        'the handler file "b.js" is missing in the code; it holds a.js',
      ],
      ['no export', { 'index.js': 'const x = 1;' }, {}, 'the handler file "index.js" exports no handler'],
      [
        'a missing export',
        { 'index.mjs': 'export const a = 1;' },
        { EBB_HANDLER: 'index.mjs#b' },
        'has no export named "b"',
      ],
      ['a wrong signature', { 'index.mjs': 'export default 5;' }, { EBB_SIGNATURE: 'fetch' }, 'signature "fetch"'],
      [
        'a syntax error',
        { 'index.mjs': 'export default {' },
        {},
        'the handler file "index.mjs" cannot be loaded: Unexpected end of input',
      ],
      [
        'an enum',
        { 'index.ts': 'enum A { B }\nexport default () => A.B;' },
        {},
        'enum is not supported in strip-only mode',
      ],
      ['a missing package', { 'index.mjs': `import 'nowhere';` }, {}, `Cannot find package 'nowhere'`],
      ['a failing start', { 'index.mjs': `throw new Error('at start');` }, {}, 'cannot be loaded: at start'],
    ])('%s is said in one sentence and ends with code 1', async (_what, files, env, sentence) => {
      const line = await failure(files, env);
      expect(line).toMatch(/^ebb: /);
      expect(line).toContain(sentence);
    });
  });

  describe('as a process', () => {
    test('lines written in a call carry its id, others none', async () => {
      const { target, logs } = await startReady({
        'index.mjs': `console.log('loaded');
          export default { async fetch(request) {
            const name = new URL(request.url).pathname.slice(1);
            process.stdout.write(name + ' one\\n' + name + ' two');
            await new Promise((resolve) => setTimeout(resolve, 20));
            console.log(' and more');
            console.error(Buffer.from('oops').toString());
            return new Response('');
          } };`,
      });
      const call = (name: string) => send(target, `/${name}`, { headers: { 'x-call-id': `id-${name}` } });
      await Promise.all([call('a'), call('b')]);
      const lines = (await logs()).filter(({ source }) => source === 'stdout');
      await expect.poll(async () => (await logs()).filter(({ text }) => text === 'oops').length).toBe(2);
      expect(lines[0]).toMatchObject({ text: 'loaded' });
      expect(lines[0]?.callId).toBeUndefined();
      for (const { text, callId } of lines.slice(1)) {
        if (/^[ab] /.test(text)) expect(callId).toBe(`id-${text[0]}`);
        else expect(text).toBe(' and more');
      }
      const errors = (await logs()).filter(({ source }) => source === 'stderr').map(({ callId }) => callId);
      expect(new Set(errors)).toEqual(new Set(['id-a', 'id-b']));
    });

    test('answers health and readiness itself', async () => {
      const { target } = await startReady({ 'index.mjs': `export const handler = () => 'mine';` });
      expect(await send(target, '/_/health')).toMatchObject({ status: 200, body: 'ok' });
      expect(await send(target, '/_/ready')).toMatchObject({ status: 200 });
      expect(await send(target, '/_/other')).toMatchObject({ body: 'mine' });
    });

    test('SIGTERM finishes what runs, then ends with code 0 (G2, S2)', async () => {
      const { id, target, exited } = await startReady({
        'index.mjs': `export const handler = async () => {
          await new Promise((resolve) => setTimeout(resolve, 150));
          return 'finished';
        };`,
      });
      const sent = open(target, '/');
      sent.end();
      const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
      // The answer takes a while; the request is in the handler once another one was answered after it.
      await send(target, '/_/health');
      const stopped = engine.stop(id, { graceMs: 5000 });
      const [response] = await answered;
      expect(await readText(response)).toBe('finished');
      await stopped;
      expect(await exited).toMatchObject({ code: 0 });
    });

    test('an unhandled rejection is logged and ends the instance', async () => {
      const { target, exited, logs } = await startReady({
        'index.mjs': `export const handler = () => { Promise.reject(new Error('forgotten')); return 'ok'; };`,
      });
      await send(target, '/').catch(() => {});
      expect(await exited).toMatchObject({ code: 1 });
      const texts = (await logs()).map(({ text }) => text).join('\n');
      expect(texts).toContain('a promise was rejected and nobody handled it');
      expect(texts).toContain('forgotten');
    });

    test('a heap over its limit is told as out of memory (case 12)', async () => {
      const { target, exited } = await startReady({
        'index.mjs': `export const handler = () => { const all = []; for (;;) all.push(new Array(1e5).fill({})); };`,
      });
      await send(target, '/').catch(() => {});
      expect(await exited).toMatchObject({ outOfMemory: true });
    });

    test('what the function started ends with it', async () => {
      const { id, target } = await startReady({
        'index.mjs': `import { spawn } from 'node:child_process';
          export const handler = () => [
            spawn('sleep', ['600']).pid, spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).pid];`,
      });
      const pids = JSON.parse((await send(target, '/')).body) as number[];
      // Where nobody reaps orphans they stay as zombies, which are as good as gone.
      const living = () => pids.filter((pid) => !['Z', undefined].includes(readProcess(pid)?.state));
      expect(living()).toEqual(pids);
      await engine.stop(id, { graceMs: 2000 });
      await expect.poll(living).toEqual([]);
    });
  });

  describe('templates', () => {
    const template = async (name: string) => {
      const directory = join(import.meta.dirname, '../../../../templates', name);
      const names = await readdir(directory);
      const files = names.map(async (file) => [file, await readFile(join(directory, file), 'utf8')] as const);
      return Object.fromEntries(await Promise.all(files));
    };

    test.each(['node', 'node-event', 'node-http'])('%s greets', async (name) => {
      const { target } = await startReady(await template(name));
      const answer = await send(target, '/?name=Ada', { headers: { 'x-call-id': 'c-1' } });
      expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
      expect(JSON.parse(answer.body)).toMatchObject({ message: 'Hello, Ada!' });
    });
  });
});
