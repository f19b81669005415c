import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createEgress, type EgressRequest } from './egress.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

interface Seen {
  readonly host: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A real server on loopback that notes what it gets. */
async function receiver(
  answer: (response: ServerResponse, seen: Seen) => void = (response) => void response.end('ok'),
) {
  const seen: Seen[] = [];
  const server: Server = createServer((request, response) => {
    void buffer(request).then((body) => {
      seen.push({ host: request.headers.host, headers: request.headers, body: body.toString() });
      answer(response, seen[seen.length - 1] as Seen);
    });
  });
  open.push({ close: () => server.close().closeAllConnections() });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { seen, port: (server.address() as AddressInfo).port };
}

function post(url: string, more: Partial<EgressRequest> = {}): EgressRequest {
  return { url, headers: ['content-type', 'text/plain'], body: Buffer.from('hello'), timeoutMs: 5_000, ...more };
}

describe('createEgress', () => {
  test('posts body and headers to an allowed address and tells the answer', async () => {
    const { seen, port } = await receiver((response) => void response.writeHead(201, { 'x-a': 'b' }).end('made'));
    const egress = createEgress({ allow: '127.0.0.1' });
    const outcome = await egress.post(post(`http://127.0.0.1:${port}/hook?x=1`));
    expect(outcome).toMatchObject({ kind: 'answered', status: 201 });
    expect(seen).toMatchObject([{ host: `127.0.0.1:${port}`, body: 'hello', headers: { 'content-length': '5' } }]);
  });

  test('case 27: without an exception a loopback server gets nothing', async () => {
    const { seen, port } = await receiver();
    const egress = createEgress({ allow: undefined });
    for (const host of ['127.0.0.1', '127.1', '0x7f.1', '2130706433', 'localhost', '[::1]', '[::ffff:127.0.0.1]']) {
      expect(await egress.post(post(`http://${host}:${port}/`))).toMatchObject({ kind: 'refused' });
    }
    expect(seen).toEqual([]);
  });

  test('case 27: a name that leads elsewhere at its second look-up is connected to what was checked', async () => {
    const { seen, port } = await receiver();
    const resolve = vi.fn<(host: string) => Promise<string[]>>();
    // Allowed at first; had the connection looked again, it would have reached the server of the test.
    resolve.mockResolvedValueOnce(['127.0.0.2']).mockResolvedValue(['127.0.0.1']);
    const egress = createEgress({ allow: '127.0.0.2', resolve });
    const outcome = await egress.post(post(`http://rebind.example:${port}/`));
    expect(outcome).toMatchObject({ kind: 'failed' });
    expect(resolve).toHaveBeenCalledTimes(1);
    expect(seen).toEqual([]);
    expect(await egress.post(post(`http://rebind.example:${port}/`))).toMatchObject({ kind: 'refused' });
  });

  test('case 27: one private address among public ones refuses the name', async () => {
    const resolve = () => Promise.resolve(['93.184.215.14', '10.0.0.1']);
    const outcome = await createEgress({ allow: undefined, resolve }).post(post('http://mixed.example/'));
    expect(outcome).toMatchObject({ kind: 'refused', message: expect.stringContaining('10.0.0.1') as string });
  });

  test('of several addresses the next is tried where one does not answer', async () => {
    const { seen, port } = await receiver();
    const egress = createEgress({ allow: '127.0.0.0/8', resolve: () => Promise.resolve(['127.0.0.3', '127.0.0.1']) });
    expect(await egress.post(post(`http://two.example:${port}/`))).toMatchObject({ kind: 'answered', status: 200 });
    expect(seen).toHaveLength(1);
  });

  test('the name stays in Host when the connection goes to the address that was checked', async () => {
    const { seen, port } = await receiver();
    const egress = createEgress({ allow: 'hooks.internal', resolve: () => Promise.resolve(['127.0.0.1']) });
    expect(await egress.post(post(`http://hooks.internal:${port}/`))).toMatchObject({ kind: 'answered', status: 200 });
    expect(seen[0]?.host).toBe(`hooks.internal:${port}`);
  });

  test('over TLS the name is what the server is asked for and what its certificate must be of', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ebb-egress-'));
    open.push({ close: () => rmSync(folder, { recursive: true, force: true }) });
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=hooks.internal`;
    const subject = ['-addext', 'subjectAltName=DNS:hooks.internal', '-keyout', key, '-out', cert];
    await promisify(execFile)('openssl', [...words.split(' '), ...subject]);
    const asked: string[] = [];
    const server = createHttpsServer({
      key: await readFile(key),
      cert: await readFile(cert),
      SNICallback: (name, done) => {
        asked.push(name);
        done(null);
      },
    }).listen(0, '127.0.0.1');
    open.push(server);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const egress = createEgress({ allow: 'hooks.internal', resolve: () => Promise.resolve(['127.0.0.1']) });
    // Nobody vouches for this certificate, so nothing is sent.
    expect(await egress.post(post(`https://hooks.internal:${port}/`))).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('self-signed certificate') as string,
    });
    expect(asked).toEqual(['hooks.internal']);
  });

  test('case 27: a redirect is an answer and is not followed', async () => {
    const target = await receiver();
    const { port } = await receiver((response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${target.port}/` }).end();
    });
    const outcome = await createEgress({ allow: '127.0.0.1' }).post(post(`http://127.0.0.1:${port}/`));
    expect(outcome).toMatchObject({ kind: 'answered', status: 307 });
    expect(target.seen).toEqual([]);
  });

  test('case 27: an answer is read up to the limit and then cut', async () => {
    const { port } = await receiver((response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
      };
      response.on('drain', more);
      more();
    });
    const egress = createEgress({ allow: '127.0.0.1', maxAnswerBytes: 100_000 });
    const outcome = await egress.post(post(`http://127.0.0.1:${port}/`));
    expect(outcome).toMatchObject({ kind: 'answered', status: 200 });
    expect(outcome.kind === 'answered' && outcome.body.length).toBeLessThanOrEqual(100_000);
  });

  test('case 27: a server that answers too slowly, or a resolver that never does, ends at the time limit', async () => {
    const { port } = await receiver((response) => void response.writeHead(200).write('x'));
    const egress = createEgress({ allow: '127.0.0.1' });
    expect(await egress.post(post(`http://127.0.0.1:${port}/`, { timeoutMs: 100 }))).toMatchObject({ kind: 'failed' });
    const stuck = createEgress({ allow: undefined, resolve: () => new Promise(() => {}) });
    expect(await stuck.post(post('http://slow.example/', { timeoutMs: 50 }))).toMatchObject({ kind: 'failed' });
  });

  test('aborting ends it', async () => {
    const { port } = await receiver(() => {});
    const controller = new AbortController();
    const posted = createEgress({ allow: '127.0.0.1' }).post(post(`http://127.0.0.1:${port}/`), controller.signal);
    setTimeout(() => controller.abort(), 30);
    expect(await posted).toEqual({ kind: 'aborted' });
  });

  test('a body is streamed with its length', async () => {
    const { seen, port } = await receiver();
    const body = { sizeBytes: 6, open: () => Readable.from([Buffer.from('abc'), Buffer.from('def')]) };
    await createEgress({ allow: '127.0.0.1' }).post(post(`http://127.0.0.1:${port}/`, { body }));
    expect(seen[0]).toMatchObject({ body: 'abcdef', headers: { 'content-length': '6' } });
  });

  test('a header of the caller can neither reroute, frame nor split the request', async () => {
    const { seen, port } = await receiver();
    const headers = [
      'host',
      'evil',
      'Content-Length',
      '999',
      'transfer-encoding',
      'chunked',
      'x-a',
      'b\r\nx-c: d',
      'x-e',
      'f',
    ];
    await createEgress({ allow: '127.0.0.1' }).post(post(`http://127.0.0.1:${port}/`, { headers }));
    expect(seen[0]).toMatchObject({ host: `127.0.0.1:${port}`, body: 'hello', headers: { 'x-e': 'f' } });
    expect(seen[0]?.headers).not.toHaveProperty('x-c');
    expect(seen[0]?.headers).not.toHaveProperty('x-a');
  });

  test('a connection that is cut, or refused, or leads nowhere is a failure that may pass', async () => {
    const tcp = createTcpServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    open.push(tcp);
    await once(tcp, 'listening');
    const egress = createEgress({ allow: '127.0.0.1' });
    const { port } = tcp.address() as AddressInfo;
    expect(await egress.post(post(`http://127.0.0.1:${port}/`))).toMatchObject({ kind: 'failed' });
    expect(await egress.post(post('http://127.0.0.1:1/'))).toMatchObject({ kind: 'failed' });
    const nowhere = createEgress({
      allow: undefined,
      resolve: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
    });
    expect(await nowhere.post(post('http://nowhere.example/'))).toMatchObject({
      kind: 'failed',
      message: 'the name nowhere.example cannot be resolved (ENOTFOUND)',
    });
  });

  test('an answer that switches protocols is a failure', async () => {
    const tcp = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n');
    }).listen(0, '127.0.0.1');
    open.push(tcp);
    await once(tcp, 'listening');
    const { port } = tcp.address() as AddressInfo;
    expect(await createEgress({ allow: '127.0.0.1' }).post(post(`http://127.0.0.1:${port}/`))).toMatchObject({
      kind: 'failed',
    });
  });

  test('check refuses at once what no name can make good', () => {
    const egress = createEgress({ allow: undefined });
    for (const url of ['gopher://x/', 'http://u:p@example.com/', 'http://127.1/', 'http://[fe80::1]/']) {
      expect(() => egress.check(url)).toThrow(expect.objectContaining({ code: 'DESTINATION_REFUSED' }));
    }
    expect(() => egress.check('https://hooks.example/x')).not.toThrow();
    const said = (url: string) => {
      try {
        egress.check(url);
      } catch (error) {
        return String(error);
      }
      return '';
    };
    // Only where an address leads can be excepted.
    expect(said('http://127.0.0.1/')).toContain('callbackAllow');
    expect(said('http://u:p@example.com/')).not.toContain('callbackAllow');
    // T2: what stands before and behind the host is not repeated.
    for (const url of [
      'http://me:pass-word@10.0.0.1/to-ken',
      'ftp://me:pass-word@x/to-ken',
      '//me:pass-word@x/to-ken',
      'http://me:pass-word@[/to-ken',
    ]) {
      expect(said(url)).toContain('the address');
      expect(said(url)).not.toMatch(/pass-word|to-ken/);
    }
  });

  test('exceptions that cannot be read are an error of the settings', () => {
    expect(() => createEgress({ allow: '10.0.0.0/99' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('10.0.0.0/99') as string }),
    );
  });
});
