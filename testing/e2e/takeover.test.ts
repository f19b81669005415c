import { readFile, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { eventually } from '../harness/gateway.ts';
import { getOnce, openSocket } from '../harness/held-calls.ts';
import { deployLab } from '../harness/lab.ts';
import { startLoad } from '../harness/load.ts';
import { ROOT, startTestServer } from '../harness/server.ts';
import { openWire } from '../harness/talk.ts';

const SOCKETS = path.join(ROOT, 'testing/fixtures/sockets');

/** Connections that are kept and used again until disposed. */
function keepConnections(maxSockets: number): Disposable & { readonly send: (url: string) => Promise<Response> } {
  const agent = new Agent({ keepAlive: true, maxSockets });
  return {
    send: (url) => {
      const { promise, resolve, reject } = Promise.withResolvers<Response>();
      get(url, { agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => resolve(new Response(Buffer.concat(chunks), { status: response.statusCode ?? 0 })));
      }).once('error', reject);
      return promise;
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** A request on a connection of its own. */
async function sendOnce(url: string): Promise<Response> {
  const { status, body } = await getOnce(url);
  return new Response(body, { status });
}

/** A connection that has had an answer of the server and waits. */
async function openIdle(url: string) {
  const { hostname, port } = new URL(url);
  const wire = openWire(Number(port), `GET /healthz HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  await eventually(() => wire.text().includes('HTTP/1.1 '));
  return {
    upgrade: async (target: string) => {
      const seen = wire.text().length;
      wire.socket.write(
        `GET ${target} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      );
      await eventually(() => wire.text().slice(seen).includes('\r\n\r\n'));
      return wire.text().slice(seen);
    },
    [Symbol.dispose]: () => void wire.socket.destroy(),
  };
}

describeOnEngines('a server that another one takes over from', (engine) => {
  test('fails no call: new and kept connections, long calls, streams, sockets; warm instances serve on', async () => {
    await using server = await startTestServer({ engine, env: { EBB_POOL_SIZE: '0' } });
    await Promise.all([
      deployLab(server, 'steady', ['--concurrency', '20']),
      deployLab(server, 'slow', ['--env', 'LAB_VERSION=1']),
      server.ebbOk(['deploy', SOCKETS, '--name', 'sockets', '--env', 'LAB_VERSION=1']),
    ]);
    const { url } = server;
    const before = (await getOnce(server.functionUrl('steady', '/who'))).body;
    using kept = keepConnections(4);
    const fresh = startLoad(() => sendOnce(server.functionUrl('steady', '/slow?ms=5')), 4);
    const again = startLoad(() => kept.send(server.functionUrl('steady', '/slow?ms=5')), 4);
    const long = getOnce(server.functionUrl('slow', '/version?ms=4000'));
    const stream = getOnce(server.functionUrl('slow', '/stream?count=20&ms=200'));
    using socket = await openSocket(server.functionUrl('sockets'));
    await sleep(200);

    const old = await server.takeOver();
    expect(server.url).toBe(url);
    expect(await socket.ask('still there?')).toBe('still there?');
    using later = await openSocket(server.functionUrl('sockets'));
    expect(await later.ask('and here?')).toBe('and here?');
    await sleep(300);
    expect((await fresh.stop()).failures).toEqual([]);
    expect((await again.stop()).failures).toEqual([]);
    expect(await long).toEqual({ status: 200, body: '1' });
    expect((await stream).body).toBe(`${'1\n'.repeat(20)}end\n`);
    // The instance that was there has served all along.
    expect((await getOnce(server.functionUrl('steady', '/who'))).body).toBe(before);

    expect(await socket.ask('to the end')).toBe('to the end');
    socket[Symbol.dispose]();
    kept[Symbol.dispose]();
    expect(await old.exited).toBe(0);
    const ref = { namespace: DEFAULT_NAMESPACE, name: 'slow' };
    await expect.poll(async () => (await server.client.functions.instances(ref)).length).toBe(1);
  });
});

describe('a takeover', () => {
  test('G1: of several gateways under load, again and again, never lets an instance have more calls than its concurrency', async () => {
    await using server = await startTestServer({ engine: 'process', args: ['--gateways', '2'] });
    await deployLab(server, 'alone', ['--concurrency', '1']);
    using kept = keepConnections(3);
    const most: number[] = [];
    const measured = async (answer: Response): Promise<Response> => {
      const text = await answer.text();
      if (answer.ok) most.push((JSON.parse(text) as { most: number }).most);
      return new Response(text, { status: answer.status });
    };
    const target = server.functionUrl('alone', '/alone?ms=20');
    const loads = [
      startLoad(async () => measured(await sendOnce(target)), 3),
      startLoad(async () => measured(await kept.send(target)), 3),
    ];
    const olds = [await server.takeOver(), await server.takeOver(), await server.takeOver()];
    await sleep(300);
    for (const load of loads) expect((await load.stop()).failures).toEqual([]);
    expect(Math.max(...most)).toBe(1);
    kept[Symbol.dispose]();
    for (const old of olds) expect(await old.exited).toBe(0);
  });

  test('G1: while the server before the old one still has a call and a kept connection fails neither, nor a handshake on one', async () => {
    await using server = await startTestServer({ engine: 'process' });
    await deployLab(server, 'alone', ['--concurrency', '1']);
    await server.ebbOk(['deploy', SOCKETS, '--name', 'sockets']);
    const target = server.functionUrl('alone', '/alone?ms=5');
    using kept = keepConnections(1);
    expect((await kept.send(target)).status).toBe(200);
    using idle = await openIdle(server.url);
    const long = getOnce(server.functionUrl('alone', '/alone?ms=3000'));
    await sleep(200);
    const first = await server.takeOver();
    const second = await server.takeOver();
    // One that has the instance of the long call would serve this at the same time.
    for (let i = 0; i < 5; i += 1) await getOnce(target);
    await sleep(300);
    expect((await kept.send(target)).status).toBe(200);
    expect(await idle.upgrade('/function/sockets')).toContain('101 Switching Protocols');
    const { status, body } = await long;
    expect([status, (JSON.parse(body) as { most: number }).most]).toEqual([200, 1]);
    idle[Symbol.dispose]();
    kept[Symbol.dispose]();
    expect(await Promise.all([first.exited, second.exited])).toEqual([0, 0]);
  });

  test('E1: by a server whose predecessor is stopped does not keep that server from ending', async () => {
    await using server = await startTestServer({ engine: 'process' });
    await deployLab(server, 'slow');
    const cut = getOnce(server.functionUrl('slow', '/slow?ms=30000')).catch(() => {});
    await sleep(200);
    const old = await server.takeOver();
    process.kill(old.pid, 'SIGSTOP');
    expect((await getOnce(server.functionUrl('slow', '/who'))).status).toBe(200);
    expect(await server.stop()).toBe(0);
    process.kill(old.pid, 'SIGKILL');
    await cut;
  });

  test('goes on when the old server is told to stop meanwhile, and a deploy that comes meanwhile is done', async () => {
    await using server = await startTestServer({ engine: 'process', env: { EBB_LOG_LEVEL: 'info' } });
    await deployLab(server, 'steady');
    const load = startLoad(() => sendOnce(server.functionUrl('steady', '/slow?ms=5')), 3);
    const { pid } = server.file;
    const taken = server.takeOver();
    const deployed = deployLab(server, 'steady', ['--env', 'LAB_VERSION=2']);
    while (!server.output().includes('a successor takes over')) await sleep(2);
    process.kill(pid, 'SIGTERM');
    const old = await taken;
    await deployed;
    expect((await load.stop()).failures).toEqual([]);
    expect(await old.exited).toBe(0);
    expect((await getOnce(server.functionUrl('steady', '/version'))).body).toBe('2');
  });

  test('does not wait for a request to the control API that was sent in part', async () => {
    await using server = await startTestServer({ engine: 'process' });
    const { url, token } = server.file;
    const half = openWire(
      Number(new URL(url).port),
      `PUT /v1/namespaces/${DEFAULT_NAMESPACE}/functions/half HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    await sleep(100);
    const old = await server.takeOver();
    expect(half.isClosed()).toBe(true);
    expect(await old.exited).toBe(0);
  });

  test('that fails half-way leaves the old server as it was, which takes changes again', async () => {
    await using server = await startTestServer({ engine: 'process' });
    await deployLab(server, 'steady');
    const load = startLoad(() => sendOnce(server.functionUrl('steady', '/slow?ms=5')), 3);
    const keyFile = path.join(server.dataDir, 'data/secrets.key');
    await server.ebbOk(['secret', 'set', 'kept', '--value', 'x']).catch(() => {});
    const key = await readFile(keyFile, 'utf8').catch(() => undefined);
    await writeFile(keyFile, 'no key');
    const { code, stderr } = await server.ebb(['up', '--takeover']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('does not hold a key');
    if (key !== undefined) await writeFile(keyFile, key);
    await deployLab(server, 'steady', ['--env', 'LAB_VERSION=2']);
    expect((await getOnce(server.functionUrl('steady', '/version'))).body).toBe('2');
    expect((await load.stop()).failures).toEqual([]);
  });

  test('E1: has the instances of an old server that is killed while it finishes', async () => {
    await using server = await startTestServer({ engine: 'process' });
    await deployLab(server, 'slow');
    const ref = { namespace: DEFAULT_NAMESPACE, name: 'slow' };
    const ids = async (): Promise<string[]> => (await server.client.functions.instances(ref)).map(({ id }) => id);
    const before = await ids();
    const cut = expect(getOnce(server.functionUrl('slow', '/slow?ms=30000'))).rejects.toThrow();
    await sleep(200);
    const old = await server.takeOver();
    expect(await ids()).toEqual([]);
    process.kill(old.pid, 'SIGKILL');
    await cut;
    await expect.poll(ids, { timeout: 5_000 }).toEqual(before);
    expect((await getOnce(server.functionUrl('slow', '/who'))).status).toBe(200);
  });

  test('A2: a call that runs on in an old server, or the one before that, is cancelled through the new one', async () => {
    await using server = await startTestServer({ engine: 'process' });
    await deployLab(server, 'slow');
    const submit = async () => {
      const answer = await fetch(`${server.url}/async-function/slow/slow?ms=20000`, { method: 'POST' });
      return answer.headers.get('x-call-id') ?? '';
    };
    const { invocations } = server.client;
    const isRunning = async (id: string) => (await invocations.get(id)).state === 'running';
    const first = await submit();
    await eventually(() => isRunning(first));
    await server.takeOver();
    const second = await submit();
    await eventually(() => isRunning(second));
    await server.takeOver();
    for (const id of [first, second]) expect((await invocations.cancel(id)).state).toBe('cancelled');
  });

  test('leaves the old server as it was when the new one is killed half-way', async () => {
    await using server = await startTestServer({ engine: 'process', env: { EBB_LOG_LEVEL: 'info' } });
    await deployLab(server, 'steady');
    const load = startLoad(() => sendOnce(server.functionUrl('steady', '/slow?ms=5')), 3);
    const successor = server.ebb(['up', '--takeover']);
    const named = /"successor":(\d+)/;
    while (!named.test(server.output())) await sleep(1);
    process.kill(Number(named.exec(server.output())?.[1]), 'SIGKILL');
    await successor;
    await deployLab(server, 'steady', ['--env', 'LAB_VERSION=2']);
    expect((await getOnce(server.functionUrl('steady', '/version'))).body).toBe('2');
    expect((await load.stop()).failures).toEqual([]);
  });

  test('starts as usual where no server runs, and waits for one that is shutting down', async () => {
    await using server = await startTestServer({ engine: 'process', args: ['--takeover'] });
    await deployLab(server, 'slow');
    const long = getOnce(server.functionUrl('slow', '/slow?ms=1500'));
    await sleep(200);
    process.kill(server.file.pid, 'SIGTERM');
    await sleep(100);
    const old = await server.takeOver();
    expect(await old.exited).toBe(0);
    expect((await long).status).toBe(200);
    expect((await getOnce(server.functionUrl('slow', '/who'))).status).toBe(200);
  });
});
