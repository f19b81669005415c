import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { useNodeRuntime } from '../../../../testing/harness/node-runtime.ts';

describe('the Node runtime: Node handlers', { timeout: 30_000 }, () => {
  const { startReady, open, send } = useNodeRuntime();
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
