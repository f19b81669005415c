import { chmod, mkdtemp, rename, rm, stat, symlink } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { awaitReady } from './await-ready.ts';
import type { InstanceExit, Target } from './engine.ts';

const never = new Promise<InstanceExit>(() => {});

describe('awaitReady', () => {
  let dir: string;
  let servers: Server[];
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ebb-'));
    servers = [];
  });
  afterEach(async () => {
    for (const server of servers) server.close();
    await rm(dir, { recursive: true, force: true });
  });

  const socket = (): Target & { kind: 'unix' } => ({ kind: 'unix', path: join(dir, 'sock') });
  const listen = async (server: Server, where: string | number) => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(where, resolve));
    return server;
  };
  const listenTcp = async (handler?: RequestListener): Promise<Target> => {
    const server = await listen(handler ? createHttpServer(handler) : createServer(), 0);
    return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  };
  const options = (over: Partial<Parameters<typeof awaitReady>[1]> = {}) => ({
    signal: AbortSignal.timeout(5000),
    exited: never,
    ...over,
  });

  test('a socket that is there already is ready', async () => {
    await listen(createServer(), socket().path);
    await awaitReady(socket(), options());
  });

  test('a socket that appears later by a rename is ready', async () => {
    const ready = awaitReady(socket(), options());
    await listen(createServer(), `${socket().path}.new`);
    await rename(`${socket().path}.new`, socket().path);
    await ready;
  });

  test('a socket nobody listens on is not ready', async () => {
    const server = await listen(createServer(), `${socket().path}.new`);
    await rename(`${socket().path}.new`, socket().path);
    server.close();
    const ready = awaitReady(socket(), options({ signal: AbortSignal.timeout(60) }));
    await expect(ready).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test.each([200, 401, 404, 405, 500])('an optional path that answers %d is ready', async (status) => {
    const target = await listenTcp((_, response) => response.writeHead(status).end());
    await awaitReady(target, options({ healthPath: '/_/health', isOptional: true }));
  });

  test.each([429, 502, 503, 504])('an optional path that answers %d is ready only once it does not', async (status) => {
    let answers = 0;
    const target = await listenTcp((_, response) => response.writeHead((answers += 1) < 3 ? status : 200).end());
    await awaitReady(target, options({ healthPath: '/_/health', isOptional: true }));
    expect(answers).toBe(3);
  });

  test('a link in the place of the socket is refused, wherever it leads', async () => {
    const elsewhere = join(dir, 'elsewhere');
    await listen(createServer(), elsewhere);
    await symlink(elsewhere, socket().path);
    await expect(awaitReady(socket(), options())).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('no socket'),
    });
  });

  test('once it is ready, nobody else may put something in the place of the socket', async () => {
    await listen(createServer(), socket().path);
    await chmod(dir, 0o777);
    await awaitReady(socket(), options());
    expect((await stat(dir)).mode & 0o777).toBe(0o755);
  });

  test('an open port is ready', async () => {
    await awaitReady(await listenTcp(), options());
  });

  test('with a health path, the first 2xx is', async () => {
    const seen: (string | undefined)[] = [];
    const target = await listenTcp((request, response) => {
      seen.push(request.url);
      response.writeHead(seen.length < 3 ? 503 : 204).end();
    });
    await awaitReady(target, options({ healthPath: '/up?x=1' }));
    expect(seen).toEqual(['/up?x=1', '/up?x=1', '/up?x=1']);
  });

  test('a health answer without end is not read to its end', async () => {
    const target = await listenTcp((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await awaitReady(target, options({ healthPath: '/' }));
  });

  test('an instance that ends is said so at once', async () => {
    const exited = Promise.resolve({ code: 3, outOfMemory: false });
    const ready = awaitReady(socket(), options({ exited }));
    await expect(ready).rejects.toMatchObject({
      code: 'START_FAILED',
      message: 'the instance ended with code 3 before it was ready',
    });
  });

  test('the signal ends the wait with its reason, also when it was aborted before', async () => {
    const stop = new AbortController();
    const ready = awaitReady(socket(), options({ signal: stop.signal }));
    stop.abort(new Error('enough'));
    await expect(ready).rejects.toThrow('enough');
    await expect(awaitReady(socket(), options({ signal: stop.signal }))).rejects.toThrow('enough');
  });

  test('leaves no timer, socket or watch behind', async () => {
    const count = () =>
      process.getActiveResourcesInfo().filter((kind) => /Timeout|TCPSocket|PipeWrap|FSEvent/.test(kind)).length;
    const stop = new AbortController();
    const before = count();
    const waits = Array.from({ length: 5 }, () => awaitReady(socket(), options({ signal: stop.signal })));
    stop.abort();
    await Promise.allSettled(waits);
    // Closing takes the event loop a few turns.
    await expect.poll(count, { interval: 5 }).toBeLessThanOrEqual(before);
  });
});
