import { execFile } from 'node:child_process';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDockerHarness, type DockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import type { Instance } from '../engine.ts';
import { buildFirewall } from './build-firewall.ts';
import { containerName } from './build-host-config.ts';
import { instanceNetwork } from './network.ts';

const run = promisify(execFile);
const IP = 'ip';

/** A function that tries to connect wherever it is told, and can listen itself. */
const SCANNER = `
import { connect, createServer } from 'node:net';
import { existsSync } from 'node:fs';
const listener = createServer((socket) => socket.on('error', () => {}).end('neighbour')).listen(7000);
const attempt = (target) => new Promise((resolve) => {
  if (target.startsWith('/') && !existsSync(target)) return resolve('absent');
  const [, host, port] = /^(.*):(\\d+)$/.exec(target) ?? [];
  const socket = target.startsWith('/') ? connect(target) : connect({ host, port: Number(port) });
  const finish = (outcome) => { socket.destroy(); resolve(outcome); };
  socket.setTimeout(1500, () => finish('silent'));
  socket.on('connect', () => finish('reached'));
  socket.on('error', (error) => finish(error.code));
});
export default async (request, response) => {
  const targets = JSON.parse(decodeURIComponent(request.url.slice(2)));
  const outcomes = await Promise.all(targets.map(async (target) => [target, await attempt(target)]));
  response.end(JSON.stringify(Object.fromEntries(outcomes)));
};
`;

/** Addresses of the clouds' metadata services (case 26) and some private ones that might exist. */
const FORBIDDEN = [
  '169.254.169.254:80', '169.254.170.2:80', '100.100.100.200:80', '169.254.0.23:80', '168.63.129.16:80',
  '192.0.0.192:80', '10.0.0.1:443', '192.168.0.1:80', '172.31.0.1:80', '100.64.0.1:80', '[fd00:ec2::254]:80', '[fd20:ce::254]:80',
]; // prettier-ignore

async function scan(instance: Instance, targets: readonly string[]): Promise<Record<string, string>> {
  const { target } = instance;
  if (target.kind !== 'unix') throw new Error('the scanner is a managed function');
  const path = `/?${encodeURIComponent(JSON.stringify(targets.map((name) => name.replace(/^\[(.*)\]/, '$1'))))}`;
  return new Promise((resolve, reject) => {
    request({ socketPath: target.path, path }, (response) => {
      text(response).then((body) => resolve(JSON.parse(body)), reject);
    })
      .on('error', reject)
      .end();
  });
}

describeWithDocker('the network of functions', (socketPath) => {
  const docker = new Dockerode({ socketPath });
  let harness: DockerHarness;
  let scanner: Instance;
  let hostServer: Server;
  beforeAll(async () => {
    harness = await createDockerHarness({ socketPath, code: { 'index.mjs': SCANNER } });
    hostServer = createServer((socket) => socket.end('host'));
    await new Promise<void>((resolve) => hostServer.listen(0, '0.0.0.0', resolve));
    scanner = await harness.start();
  }, 120_000);
  afterAll(async () => {
    hostServer.close();
    await harness[Symbol.asyncDispose]();
  });
  const addressOf = async (id: string) => {
    const info = await docker.getContainer(containerName(harness.installation, id)).inspect();
    return info.NetworkSettings.Networks[instanceNetwork(harness.installation, 'open').network]?.IPAddress ?? '';
  };

  test('is one bridge without traffic between instances and without IPv6', async () => {
    const { network, bridge } = instanceNetwork(harness.installation, 'open');
    const info: unknown = await docker.getNetwork(network).inspect();
    expect(info).toMatchObject({
      Driver: 'bridge',
      EnableIPv6: false,
      Labels: { 'ebb.installation': harness.installation },
      Options: { 'com.docker.network.bridge.name': bridge, 'com.docker.network.bridge.enable_icc': 'false' },
    });
  });

  describe.skipIf(process.getuid?.() !== 0)('as root', () => {
    test('leads to no address of the host (case 25)', async () => {
      const { port } = hostServer.address() as AddressInfo;
      const addresses = Object.values(networkInterfaces()).flatMap((list) =>
        (list ?? []).map(({ address }) => address),
      );
      const targets = addresses
        .filter((address) => !address.includes(':') && !address.startsWith('127.'))
        .map((address) => `${address}:${port}`);
      expect(targets.length).toBeGreaterThan(1);
      const outcomes = await scan(scanner, targets);
      expect(Object.values(outcomes)).not.toContain('reached');
    });

    test('leads to no metadata service and no private address (case 26)', async () => {
      expect(Object.values(await scan(scanner, FORBIDDEN))).not.toContain('reached');
      // Nobody may be there to answer, so it has to be seen that packets were dropped.
      const { restore, chains } = buildFirewall({
        bridge: instanceNetwork(harness.installation, 'open').bridge,
        isClosed: false,
        resolvers: [],
        hostAddresses: [],
      });
      expect(restore).toContain('-d 169.254.0.0/16 -j DROP');
      const { stdout } = await run('iptables', ['-w', '5', '-nvx', '-L', chains[1] ?? '']);
      const dropped = stdout.split('\n').find((line) => line.includes('169.254.0.0/16'));
      expect(Number(dropped?.trim().split(/\s+/)[0])).toBeGreaterThan(0);
    });

    test('leads to no other instance (case 25)', async () => {
      const neighbour = await harness.start();
      const address = await addressOf(neighbour.id);
      expect(address).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      // The host reaches it, so somebody listens there.
      const isListening = await new Promise((resolve) => {
        const socket = connect({ host: address, port: 7000, timeout: 3000 });
        socket
          .on('connect', () => resolve(true))
          .on('error', () => resolve(false))
          .on('timeout', () => resolve(false));
        socket.on('connect', () => socket.destroy());
      });
      expect(isListening).toBe(true);
      expect(await scan(scanner, [`${address}:7000`, '127.0.0.1:7000'])).toEqual({
        [`${address}:7000`]: 'silent',
        '127.0.0.1:7000': 'reached',
      });
      await harness.engine.stop(neighbour.id, { graceMs: 0 });
    });

    test('leads to public addresses', async (context) => {
      const site = await createPublicSite().catch((error: unknown) =>
        context.skip(`no network namespace can be made: ${String(error)}`),
      );
      await using _site = site;
      expect(await scan(scanner, [`${site.address}:8000`])).toEqual({ [`${site.address}:8000`]: 'reached' });
    });

    test('is guarded again at the next start when its rules were flushed, and doctor says so meanwhile', async () => {
      const { bridge } = instanceNetwork(harness.installation, 'open');
      const { chains } = buildFirewall({
        bridge,
        isClosed: false,
        resolvers: [],
        hostAddresses: [],
      });
      const finding = async () =>
        (await harness.engine.probe()).findings.find(({ check }) => check === 'network rules');
      expect(await finding()).toMatchObject({ level: 'ok' });
      await run('iptables', ['-w', '5', '-D', 'INPUT', '-i', bridge, '-j', chains[0] ?? '']);
      expect(await finding()).toMatchObject({ level: 'unsafe', message: expect.stringContaining('INPUT') });
      await harness.open().prepare();
      expect(await finding()).toMatchObject({ level: 'ok' });
      const { stdout } = await run('iptables', ['-w', '5', '-S', 'INPUT']);
      expect(stdout.split('\n').filter((line) => line.includes(bridge))).toHaveLength(1);
    });
  });

  test('the engine socket is not in an instance (case 25)', async () => {
    expect(
      await scan(scanner, ['/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock']),
    ).toEqual({
      '/var/run/docker.sock': 'absent',
      '/run/docker.sock': 'absent',
      '/run/containerd/containerd.sock': 'absent',
    });
  });

  test('a function without network reaches nothing but still answers', async () => {
    const alone = await harness.start({ network: 'none' });
    const { port } = hostServer.address() as AddressInfo;
    const outcomes = await scan(alone, [...FORBIDDEN, `172.17.0.1:${port}`]);
    expect(Object.values(outcomes).every((outcome) => /^(?:ENETUNREACH|EADDRNOTAVAIL)$/.test(outcome))).toBe(true);
    await harness.engine.stop(alone.id, { graceMs: 0 });
  });

  test('goes when its engine goes, with its rules, unless instances live on', async () => {
    const other = harness.open('network-goes');
    await other.prepare();
    const { network, bridge } = instanceNetwork('network-goes', 'open');
    await docker.getNetwork(network).inspect();
    await other[Symbol.asyncDispose]();
    await expect(docker.getNetwork(network).inspect()).rejects.toMatchObject({ statusCode: 404 });
    if (process.getuid?.() === 0) expect((await run('iptables-save')).stdout).not.toContain(bridge);
    await harness.open()[Symbol.asyncDispose]();
    await docker.getNetwork(instanceNetwork(harness.installation, 'open').network).inspect();
  });
});

/** A host with a public address, next to this one: a network namespace with a listener in it. */
async function createPublicSite() {
  const name = `ebbpub${process.pid}`;
  const address = '198.51.100.2';
  const ip = (...args: string[]) => run(IP, args);
  await ip('netns', 'add', name);
  const remove = async () => void (await ip('netns', 'del', name));
  try {
    await ip('link', 'add', `${name.slice(0, 12)}h`, 'type', 'veth', 'peer', 'name', 'up0', 'netns', name);
    await ip('addr', 'add', '198.51.100.1/30', 'dev', `${name.slice(0, 12)}h`);
    await ip('link', 'set', `${name.slice(0, 12)}h`, 'up');
    await ip('-n', name, 'addr', 'add', `${address}/30`, 'dev', 'up0');
    await ip('-n', name, 'link', 'set', 'up0', 'up');
    const script = `require('node:net').createServer((s) => s.end()).listen(8000, () => console.log('up'))`;
    const child = execFile(IP, ['netns', 'exec', name, process.execPath, '-e', script]);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('exit', () => reject(new Error('the listener ended')));
    });
    return {
      address,
      async [Symbol.asyncDispose]() {
        child.kill();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
