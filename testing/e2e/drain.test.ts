import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, test } from 'vitest';
import { getOnce, openSocket } from '../harness/held-calls.ts';
import { describeOnEngines } from '../harness/engines.ts';
import { deployLab } from '../harness/lab.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

const SOCKETS = path.join(ROOT, 'testing/fixtures/sockets');
const ref = { namespace: DEFAULT_NAMESPACE, name: 'sockets' };
const QUICK = { EBB_POOL_SIZE: '0' };

async function deploySockets(server: TestServer, version: string, options: readonly string[] = []): Promise<void> {
  await server.ebbOk(['deploy', SOCKETS, '--name', 'sockets', '--env', `LAB_VERSION=${version}`, ...options]);
}

describeOnEngines('what runs while a version is replaced', (engine) => {
  test('V2: long calls, streams and sockets end on the version they began on, and its instances go after the last', async () => {
    await using server = await startTestServer({ engine, env: QUICK });
    await Promise.all([deployLab(server, 'calls', ['--env', 'LAB_VERSION=1']), deploySockets(server, '1')]);
    const long = getOnce(server.functionUrl('calls', '/version?ms=4000'));
    const stream = getOnce(server.functionUrl('calls', '/stream?count=20&ms=200'));
    using socket = await openSocket(server.functionUrl('sockets'));
    expect(socket.greeting).toBe('version 1');

    await Promise.all([deployLab(server, 'calls', ['--env', 'LAB_VERSION=2']), deploySockets(server, '2')]);
    expect((await getOnce(server.functionUrl('calls', '/version'))).body).toBe('2');
    using later = await openSocket(server.functionUrl('sockets'));
    expect(later.greeting).toBe('version 2');
    expect(await socket.ask('still there?')).toBe('still there?');
    expect(await long).toEqual({ status: 200, body: '1' });
    expect((await stream).body).toBe(`${'1\n'.repeat(20)}end\n`);
    expect(await socket.ask('and now?')).toBe('and now?');

    socket[Symbol.dispose]();
    const left = async (): Promise<number[]> =>
      (await server.client.functions.instances(ref)).map(({ version }) => version);
    for (let tries = 0; tries < 50 && (await left()).includes(1); tries += 1) await sleep(100);
    expect(await left()).toEqual([2]);
  });

  test('G4: a socket and a stream of a replaced version are cut at the timeout of the version, no sooner', async () => {
    await using server = await startTestServer({ engine, env: QUICK });
    const options = ['--timeout', '3s'];
    await Promise.all([deployLab(server, 'calls', options), deploySockets(server, '1', options)]);
    const begun = performance.now();
    const stream = getOnce(server.functionUrl('calls', '/ticks?ms=50')).then(
      () => 0,
      () => performance.now() - begun,
    );
    using socket = await openSocket(server.functionUrl('sockets'));
    await Promise.all([
      deployLab(server, 'calls', [...options, '--env', 'LAB_VERSION=2']),
      deploySockets(server, '2', options),
    ]);
    await socket.closed;
    expect(performance.now() - begun).toBeGreaterThan(2_900);
    expect(await stream).toBeGreaterThan(2_900);
  });
});

describeOnEngines('a scale-down', (engine) => {
  test('S2: stops no instance that a stream or a socket is on', async () => {
    await using server = await startTestServer({ engine, env: QUICK });
    await deploySockets(server, '1', ['--concurrency', '1']);
    const { spec, code } = await server.client.functions.get(ref);
    await server.client.functions.deploy(ref, {
      spec: { ...spec, scale: { ...spec.scale, idle: '1s' } },
      ...(code && { code }),
    });
    using first = await openSocket(server.functionUrl('sockets'));
    const second = await openSocket(server.functionUrl('sockets'));
    second[Symbol.dispose]();
    const count = async (): Promise<number> => (await server.client.functions.instances(ref)).length;
    for (let tries = 0; tries < 80 && (await count()) > 1; tries += 1) await sleep(100);
    expect(await count()).toBe(1);
    expect(await first.ask('still there?')).toBe('still there?');
  });
});
