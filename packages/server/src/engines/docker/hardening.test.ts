import { get } from 'node:http';
import { text as consumeText } from 'node:stream/consumers';
import Dockerode from 'dockerode';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createDockerHarness, type DockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import { BASE_IMAGE, ensureBaseImage } from '../../../../../testing/services/base-image.ts';
import type { EngineEvent, InstanceSpec } from '../engine.ts';
import { containerName } from './build-host-config.ts';

/** Numbers of forbidden calls (and clone3, whose refusal must look like an old kernel) by architecture. */
const CALLS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  x64: {
    io_uring_setup: 425, unshare: 272, setns: 308, mount: 165, keyctl: 250, bpf: 321, userfaultfd: 323, ptrace: 101,
    process_vm_readv: 310, perf_event_open: 298, open_by_handle_at: 304, vmsplice: 278, clone3: 435,
  },
  arm64: {
    io_uring_setup: 425, unshare: 97, setns: 268, mount: 40, keyctl: 219, bpf: 280, userfaultfd: 282, ptrace: 117,
    process_vm_readv: 270, perf_event_open: 241, open_by_handle_at: 265, vmsplice: 75, clone3: 435,
  },
}; // prettier-ignore
const EPERM = 1;
const ENOSYS = 38;

describeWithDocker('hardened containers', (socketPath) => {
  const docker = new Dockerode({ socketPath });
  let harness: DockerHarness;
  beforeAll(async () => {
    await ensureBaseImage(docker);
    harness = await createDockerHarness({
      socketPath,
      code: { 'index.mjs': 'export default (request, response) => response.end("ok");' },
    });
    await harness.engine.prepare();
  }, 600_000);
  afterEach(async () => {
    for (const { id } of await harness.engine.list()) await harness.engine.stop(id, { graceMs: 0 });
  });
  afterAll(async () => harness[Symbol.asyncDispose]());

  const program = (command: readonly string[], changes: Partial<InstanceSpec> = {}): InstanceSpec =>
    harness.spec({ source: { kind: 'image', image: BASE_IMAGE, port: 8080, command }, ...changes });
  const perl = (script: string, changes?: Partial<InstanceSpec>) =>
    program(['perl', '-e', `$| = 1; ${script}`], changes);
  /** What a program wrote until it ended. */
  const output = async (spec: InstanceSpec): Promise<string> => {
    const { id } = await harness.engine.create(spec);
    const lines = await Array.fromAsync(harness.engine.logs(id, { follow: true }));
    await harness.engine.stop(id, { graceMs: 0 });
    return lines.map(({ text }) => text).join('\n');
  };
  const firstLine = async (id: string): Promise<string | undefined> => {
    const done = new AbortController();
    for await (const { text } of harness.engine.logs(id, { follow: true, signal: done.signal })) {
      done.abort();
      return text;
    }
    return undefined;
  };
  const nextExit = async (id: string, events: AsyncIterable<EngineEvent>) => {
    for await (const event of events) if (event.kind === 'exited' && event.id === id) return event.exit;
    return undefined;
  };

  test('a running instance has the whole profile (case 31)', async () => {
    const { id } = await harness.start();
    const info = await docker.getContainer(containerName(harness.installation, id)).inspect();
    expect(info.Config.User).toBe('200001:200001');
    expect(info.Config.Healthcheck?.Test).toEqual(['NONE']);
    expect(info.HostConfig).toMatchObject({
      Privileged: false,
      CapAdd: [],
      CapDrop: ['ALL'],
      ReadonlyRootfs: true,
      Memory: 2 ** 28,
      MemorySwap: 2 ** 28,
      NanoCpus: 1e9,
      PidsLimit: 256,
      IpcMode: 'private',
      PidMode: '',
      UTSMode: '',
      UsernsMode: '',
      CgroupnsMode: 'private',
      Cgroup: '',
      Devices: [],
      Binds: null,
      VolumesFrom: null,
      PublishAllPorts: false,
      RestartPolicy: { Name: 'no' },
      Init: true,
    });
    expect(info.HostConfig.Tmpfs).toEqual({ '/tmp': 'rw,nosuid,nodev,size=67108864,mode=1777' });
    expect(info.HostConfig.LogConfig).toMatchObject({ Type: 'local', Config: { mode: 'non-blocking' } });
    expect(info.HostConfig.SecurityOpt).toContain('no-new-privileges');
    expect(info.HostConfig.MaskedPaths).toContain('/proc/kcore');
    expect(
      Object.fromEntries(info.Mounts.map(({ Destination, RW, Propagation }) => [Destination, [RW, Propagation]])),
    ).toEqual({
      '/function': [false, 'rprivate'],
      '/opt/ebb/runtime': [false, 'rprivate'],
      '/run/ebb': [true, 'rprivate'],
      '/var/openfaas/secrets': [false, 'rprivate'],
    });
    await harness.engine.stop(id, { graceMs: 0 });
  });

  test('a process has no capability, cannot gain any, and is filtered', async () => {
    const status = await output(program(['cat', '/proc/self/status']));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(status).toMatch(new RegExp(`${set}:\\s0+$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\s1$/m);
    expect(status).toMatch(/^Seccomp:\s2$/m);
    expect(status).toMatch(/^Uid:\s200001\s200001\s200001\s200001$/m);
    expect(status).toMatch(/^Gid:\s200001\s200001\s200001\s200001$/m);
  });

  test('only /tmp can be written, up to its size', async () => {
    const text = await output(
      program([
        'sh',
        '-c',
        'echo x > /etc/x; echo x > /usr/x; mount -o remount,rw /; head -c 80m /dev/zero > /tmp/big; stat -c %s /tmp/big',
      ]),
    );
    expect(text).toContain('Read-only file system');
    expect(text).toContain('No space left on device');
    expect(text).toMatch(/^67108864$/m);
  });

  test('a function cannot put a link in the place of its socket, which would lead the gateway to the daemon', async () => {
    const replace = `import fs from 'node:fs';
      const attempt = (what) => { try { what(); return 'done'; } catch (error) { return error.code; } };
      export default (request, response) => response.end([
        attempt(() => fs.chmodSync('/run/ebb', 0o777)),
        attempt(() => fs.renameSync('/run/ebb/sock', '/run/ebb/moved')),
        attempt(() => fs.unlinkSync('/run/ebb/sock')),
        attempt(() => fs.symlinkSync('/var/run/docker.sock', '/run/ebb/other')),
      ].join(' '));`;
    await using evil = await createDockerHarness({ socketPath, code: { 'index.mjs': replace } });
    const { target } = await evil.start();
    if (target.kind !== 'unix') throw new Error('expected a socket');
    const text = await new Promise<string>((resolve, reject) => {
      get({ socketPath: target.path, path: '/' }, (response) => resolve(consumeText(response))).on('error', reject);
    });
    expect(text).toBe('EPERM EACCES EACCES EACCES');
  });

  describe('system calls', () => {
    const calls = CALLS[process.arch] ?? {};
    test('that lead out of a container are refused, and clone3 is unknown so that threads still start', async () => {
      const script = Object.entries(calls)
        .map(([name, number]) => `$! = 0; syscall(${number}, 0, 0, 0, 0, 0, 0); print "${name} ", $! + 0, "\\n";`)
        .join(' ');
      const answers = Object.fromEntries((await output(perl(script))).split('\n').map((line) => line.split(' ')));
      const expected = Object.fromEntries(
        Object.keys(calls).map((name) => [name, String(name === 'clone3' ? ENOSYS : EPERM)]),
      );
      expect(answers).toEqual(expected);
    });

    test('open sockets of ordinary families only', async () => {
      const families = { unix: 1, inet: 2, inet6: 10, packet: 17, alg: 38, nfc: 39, vsock: 40, xdp: 44 };
      const script = Object.entries(families)
        .map(
          ([name, family]) =>
            `print "${name} ", (socket(my $s, ${family}, ${family === 38 ? 5 : 1}, 0) ? 0 : $! + 0), "\\n";`,
        )
        .join(' ');
      expect((await output(perl(script))).split('\n')).toEqual([
        'unix 0', 'inet 0', 'inet6 0', 'packet 1', 'alg 1', 'nfc 1', 'vsock 1', 'xdp 1',
      ]); // prettier-ignore
    });

    test('of shells, pipes, threads and compilers-to-memory all work', async () => {
      expect(
        await output(
          program(['bash', '-c', '(sleep 0.01 & wait); echo a b | { read x y; echo $y$x; }; mkfifo /tmp/f']),
        ),
      ).toBe('ba');
    });
  });

  test('a fork bomb stops at its own limit, and dies with its instance (case 11)', async () => {
    const bomb = perl(
      'my $n = 0; while (defined(my $p = fork)) { sleep 100 unless $p; $n++ } print "refused after $n\\n"; sleep 100',
      {
        limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 32, tmpBytes: 2 ** 20 },
      },
    );
    const { id } = await harness.engine.create(bomb);
    const forked = Number(/refused after (\d+)/.exec((await firstLine(id)) ?? '')?.[1]);
    expect(forked).toBeGreaterThan(10);
    expect(forked).toBeLessThan(32);
    expect((await harness.engine.stats(id)).pids).toBeLessThanOrEqual(32);
    const { id: neighbour } = await harness.start();
    await harness.engine.stop(id, { graceMs: 0 });
    expect((await harness.engine.list()).map((instance) => instance.id)).toEqual([neighbour]);
    await harness.engine.stop(neighbour, { graceMs: 0 });
  });

  describe('an instance that takes too much memory (case 12)', () => {
    const limits = { memoryBytes: 2 ** 25, cpuCores: 1, pids: 32, tmpBytes: 2 ** 20 };
    test('is killed, announced and listed as out of memory', async () => {
      const done = new AbortController();
      const spec = perl('my $x = "x" x 200_000_000; sleep 100', { limits });
      const exit = nextExit(spec.id, harness.engine.events(done.signal));
      await harness.engine.create(spec);
      expect(await exit).toMatchObject({ outOfMemory: true });
      done.abort();
      await expect
        .poll(async () => (await harness.engine.list()).find(({ id }) => id === spec.id), { timeout: 10_000 })
        .toMatchObject({ state: 'exited', exit: { code: 137, signal: 'SIGKILL', outOfMemory: true } });
      await harness.engine.stop(spec.id, { graceMs: 0 });
    });

    test('is announced even if only a child of it died', async () => {
      const done = new AbortController();
      const spec = perl('if (fork) { wait; sleep 100 } my $x = "x" x 200_000_000; sleep 100', { limits });
      const exit = nextExit(spec.id, harness.engine.events(done.signal));
      await harness.engine.create(spec);
      expect(await exit).toMatchObject({ outOfMemory: true });
      done.abort();
      await harness.engine.stop(spec.id, { graceMs: 0 });
    });

    test('cannot use /tmp to get more', async () => {
      const spec = program(['sh', '-c', 'head -c 100m /dev/zero > /tmp/a'], {
        limits: { ...limits, tmpBytes: 2 ** 28 },
      });
      const done = new AbortController();
      const exit = nextExit(spec.id, harness.engine.events(done.signal));
      await harness.engine.create(spec);
      expect(await exit).toMatchObject({ outOfMemory: true });
      done.abort();
      await harness.engine.stop(spec.id, { graceMs: 0 });
    });
  });

  test('what ignores SIGTERM is killed after the grace, and its end is seen (case 14, E3)', async () => {
    const { id } = await harness.engine.create(perl('$SIG{TERM} = "IGNORE"; print "up\\n"; sleep 100 while 1'));
    expect(await firstLine(id)).toBe('up');
    const before = performance.now();
    await harness.engine.stop(id, { graceMs: 300 });
    expect(performance.now() - before).toBeGreaterThanOrEqual(300);
    await expect(docker.getContainer(containerName(harness.installation, id)).inspect()).rejects.toMatchObject({
      statusCode: 404,
    });
  });

  test('what obeys SIGTERM is not waited for', async () => {
    const { id } = await harness.engine.create(perl('$SIG{TERM} = sub { exit 0 }; print "up\\n"; sleep 100 while 1'));
    expect(await firstLine(id)).toBe('up');
    const before = performance.now();
    await harness.engine.stop(id, { graceMs: 60_000 });
    expect(performance.now() - before).toBeLessThan(30_000);
  });
});
