import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createDockerHarness, type DockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import { eventually } from '../../../../../testing/harness/gateway.ts';
import { BASE_IMAGE, buildImage, ensureBaseImage } from '../../../../../testing/services/base-image.ts';
import { awaitReady } from '../await-ready.ts';
import type { Engine, Instance, InstanceExit, InstanceSpec } from '../engine.ts';
import { containerName } from './build-host-config.ts';

/** Serves, and answers `/HOST:PORT` with whether it reaches that. */
const SERVER = `
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalPort => 8123, Listen => 5, ReuseAddr => 1) or die;
while (my $c = $s->accept) {
  my ($to) = <$c> =~ m{^GET /(\\S*)};
  my $b = $to eq "" ? "ok" : IO::Socket::INET->new(PeerAddr => $to, Timeout => 1) ? "reached" : "no";
  print $c "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($b) . "\\r\\nConnection: close\\r\\n\\r\\n$b"; close $c
}
`;
const RUNNING = new Promise<InstanceExit>(() => {});
const SIZE = 2;

describeWithDocker('prepared network namespaces', (socketPath) => {
  const docker = new Dockerode({ socketPath });
  /** Ids of the holders that were ready at some time. */
  const announced = new Set<string>();
  const logger = pino(
    { level: 'debug' },
    {
      write(line: string) {
        const { holder } = JSON.parse(line) as { holder?: string };
        if (holder !== undefined) announced.add(holder);
      },
    },
  );
  let harness: DockerHarness;
  let contextDir: string;
  let image: string;
  beforeAll(async () => {
    await ensureBaseImage(docker);
    contextDir = await mkdtemp('/tmp/ebb-nets-');
    harness = await createDockerHarness({ socketPath, code: {}, preparedNetworks: SIZE, logger });
    image = `ebb-test/nets:${harness.installation}`;
    await writeFile(join(contextDir, 'server.pl'), SERVER);
    await writeFile(
      join(contextDir, 'Dockerfile'),
      // A port that an image exposes is refused together with a joined namespace when the caller asks for it.
      `FROM ${BASE_IMAGE}\nCOPY server.pl /server.pl\nEXPOSE 8123\nCMD ["perl", "/server.pl"]\n`,
    );
    await buildImage(docker, { tag: image, contextDir });
    await harness.engine.prepare();
  }, 600_000);
  afterEach(async () => {
    for (const { id } of await harness.engine.list()) await harness.engine.stop(id, { graceMs: 0 });
  }, 60_000);
  afterAll(async () => {
    await harness[Symbol.asyncDispose]();
    expect(await holders()).toEqual([]);
    await docker.getImage(image).remove({ force: true });
    await rm(contextDir, { recursive: true });
  }, 60_000);

  const holders = async () =>
    (
      await docker.listContainers({
        all: true,
        filters: { label: [`ebb.installation=${harness.installation}`, 'ebb.network-holder=self'] },
      })
    ).map(({ Id }) => Id);
  /** Waits until the stock is full beside the holders that instances use. */
  const stocked = async (inUse = 0) => {
    await harness.engine.resolveImage(image);
    await eventually(async () => {
      const found = await holders();
      // That it runs is not enough: the engine has to have seen it.
      return found.length >= SIZE + inUse && found.every((holder) => announced.has(holder));
    }, 20_000);
  };
  const start = async (engine: Engine = harness.engine, changes: Partial<InstanceSpec> = {}): Promise<Instance> => {
    const instance = await engine.create(harness.spec({ source: { kind: 'image', image, port: 8123 }, ...changes }));
    await awaitReady(instance.target, { signal: AbortSignal.timeout(20_000), exited: RUNNING });
    return instance;
  };
  const hostOf = ({ target }: Instance) => (target.kind === 'tcp' ? target.host : '');
  const ask = async (instance: Instance, path = '') => (await fetch(`http://${hostOf(instance)}:8123/${path}`)).text();
  const holderOf = async ({ id }: Instance) => {
    const { HostConfig } = await docker.getContainer(containerName(harness.installation, id)).inspect();
    return /^container:(.*)$/.exec(HostConfig.NetworkMode ?? '')?.[1];
  };

  test('every instance has one of its own, or none when the stock is out, and takes it along when it ends', async () => {
    await stocked();
    const instances = await Promise.all([start(), start(), start()]);
    const used = await Promise.all(instances.map(holderOf));
    const joined = used.filter((holder) => holder !== undefined);
    expect([joined.length, new Set(joined).size]).toEqual([SIZE, SIZE]);
    expect(new Set(instances.map(hostOf)).size).toBe(3);
    expect(await Promise.all(instances.map((instance) => ask(instance)))).toEqual(['ok', 'ok', 'ok']);
    const listed = await harness.engine.list();
    for (const { id, target } of instances) expect(listed.find((found) => found.id === id)?.target).toEqual(target);
    await Promise.all(instances.map(({ id }) => harness.engine.stop(id, { graceMs: 0 })));
    const left = await holders();
    expect(left.filter((holder) => joined.includes(holder))).toEqual([]);
    expect(left.length).toBeLessThanOrEqual(SIZE);
  }, 60_000);

  test('an instance in one reaches neither the host nor another instance', async () => {
    await stocked();
    const [one, other] = await Promise.all([start(), start()]);
    expect([await holderOf(one), await holderOf(other)]).not.toContain(undefined);
    const host = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => host.listen(0, '0.0.0.0', resolve));
    const { port } = host.address() as AddressInfo;
    const gateway = hostOf(one).replace(/\d+$/, '1');
    try {
      expect(await ask(one, `${hostOf(other)}:8123`)).toBe('no');
      // Where the rules cannot be set at all, `ebb doctor` says so; here they can.
      if (process.getuid?.() === 0) expect(await ask(one, `${gateway}:${port}`)).toBe('no');
      expect(await ask(one, '169.254.169.254:80')).toBe('no');
      expect(await ask(one, `127.0.0.1:8123`)).toBe('reached');
    } finally {
      host.close();
    }
  }, 60_000);

  test('an image without network, and one whose holder was removed, start as ever', async () => {
    await stocked();
    const closed = await start(harness.engine, { network: 'none' });
    expect(await holderOf(closed)).toBeUndefined();
    for (const holder of await holders()) await docker.getContainer(holder).remove({ force: true });
    const instance = await start();
    expect(await holderOf(instance)).toBeUndefined();
    expect(await ask(instance)).toBe('ok');
  }, 60_000);

  test('E1: when somebody removes the container of an instance its namespace goes too', async () => {
    await stocked();
    const instance = await start();
    const own = (await holderOf(instance)) ?? '';
    await harness.engine.list();
    await docker.getContainer(containerName(harness.installation, instance.id)).remove({ force: true });
    await eventually(async () => {
      await harness.engine.list();
      return !(await holders()).includes(own);
    }, 20_000);
    expect(await holders()).not.toContain(own);
    await harness.engine.stop(instance.id, { graceMs: 0 });
  }, 60_000);

  test('E1: what a killed server kept ready is removed, and its instances keep theirs until they end', async () => {
    await stocked();
    const instance = await start();
    const own = await holderOf(instance);
    expect(own).toBeDefined();
    await stocked(1);
    // Another engine knows nothing of the stock, as after kill -9.
    const next = harness.open(undefined, { preparedNetworks: 0 });
    expect(await next.list()).toMatchObject([{ id: instance.id, target: instance.target, state: 'running' }]);
    expect(await holders()).toEqual([own]);
    expect(await ask(instance)).toBe('ok');
    await next.stop(instance.id, { graceMs: 0 });
    expect((await holders()).includes(own ?? '')).toBe(false);
  }, 60_000);

  test('an instance in one can be frozen, thawed and found', async () => {
    await stocked();
    const instance = await start();
    expect(await holderOf(instance)).toBeDefined();
    await harness.engine.freeze(instance.id);
    expect(await harness.engine.list()).toMatchObject([{ id: instance.id, state: 'frozen' }]);
    await harness.engine.thaw(instance.id);
    expect(await ask(instance)).toBe('ok');
  }, 60_000);
});
