import { describe, expect, test } from 'vitest';
import type { InstanceSpec } from '../engine.ts';
import { buildContainerConfig, type ContainerInput } from './build-host-config.ts';

const spec: InstanceSpec = {
  id: 'a1',
  labels: { installation: 'i1', namespace: 'openfaas-fn', function: 'f', version: 3, generation: 'g1' },
  source: { kind: 'code', runtime: 'node', codeDir: '/data/code/abc' },
  env: { GREETING: 'hello' },
  secrets: { token: Buffer.from('hidden-value') },
  limits: { memoryBytes: 2 ** 28, cpuCores: 0.5, pids: 256, tmpBytes: 2 ** 26 },
  tenant: 7,
  user: 'tenant',
  network: 'egress',
  readOnlyRootFilesystem: true,
};

function input(changes: Partial<InstanceSpec> = {}, rest: Partial<ContainerInput> = {}): ContainerInput {
  return {
    spec: { ...spec, ...changes },
    image: { id: 'sha256:1', user: 'app', volumes: [] },
    host: { cpus: 2, cgroupVersion: 1, writesCgroups: true, appArmor: false },
    dir: {
      root: '/run/i/a1',
      socketDir: '/run/i/a1/s',
      secretsDir: '/run/i/a1/secrets',
      socketPath: '/run/i/a1/s/sock',
    },
    network: 'ebb-i1',
    runtime: { directory: '/data/runtimes/node-1', entry: 'main.mjs' },
    createdAt: 1000,
    ...rest,
  };
}
const image = { kind: 'image', image: 'app:1', port: 9000 } as const;

describe('the settings of a container', () => {
  test('are the hardened profile, field by field (E2, case 31)', () => {
    const { SecurityOpt, ...hostConfig } = buildContainerConfig(input()).HostConfig;
    expect(SecurityOpt).toEqual([
      'no-new-privileges',
      expect.stringMatching(/^seccomp=\{"defaultAction":"SCMP_ACT_ERRNO"/),
    ]);
    expect(hostConfig).toEqual({
      CapDrop: ['ALL'],
      CapAdd: [],
      Privileged: false,
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': 'rw,nosuid,nodev,size=67108864,mode=1777' },
      Mounts: [
        mount('/data/runtimes/node-1', '/opt/ebb/runtime', true),
        mount('/data/code/abc', '/function', true),
        mount('/run/i/a1/s', '/run/ebb', false),
        mount('/run/i/a1/secrets', '/var/openfaas/secrets', true),
      ],
      Memory: 2 ** 28,
      MemorySwap: 2 ** 28,
      MemorySwappiness: 0,
      OomKillDisable: false,
      NanoCpus: 500_000_000,
      PidsLimit: 256,
      Ulimits: [
        { Name: 'nofile', Soft: 1024, Hard: 4096 },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      ShmSize: 16 * 2 ** 20,
      IpcMode: 'private',
      PidMode: '',
      UTSMode: '',
      CgroupnsMode: 'private',
      NetworkMode: 'ebb-i1',
      Dns: [],
      PublishAllPorts: false,
      Devices: [],
      LogConfig: {
        Type: 'local',
        Config: { 'max-size': '5m', 'max-file': '2', compress: 'false', mode: 'non-blocking', 'max-buffer-size': '1m' },
      },
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      Init: true,
    });
  });

  test('take nothing from a spec but the fields they know (E2, case 31)', () => {
    const smuggled = {
      Privileged: true,
      HostConfig: { Privileged: true, PidMode: 'host' },
      capAdd: ['SYS_ADMIN'],
      devices: ['/dev/kmsg'],
      volumesFrom: ['other'],
      sysctls: { 'kernel.core_pattern': '|/x' },
    };
    expect(buildContainerConfig(input(smuggled as Partial<InstanceSpec>))).toEqual(buildContainerConfig(input()));
  });

  test('run as the namespace’s own user unless the image’s is asked for', () => {
    expect(buildContainerConfig(input()).User).toBe('200007:200007');
    expect(buildContainerConfig(input({ source: image, user: 'image' })).User).toBe('app');
  });

  test('hold no secret (T2)', () => {
    expect(JSON.stringify(buildContainerConfig(input()))).not.toContain('hidden-value');
  });

  test('tell a runtime where things are, whatever the function sets', () => {
    const { Env, Cmd, Entrypoint, WorkingDir } = buildContainerConfig(input({ env: { EBB_SOCKET: '/x', HOME: '/h' } }));
    expect(Env).toEqual([
      'HOME=/h',
      'EBB_SOCKET=/run/ebb/sock',
      'EBB_CODE_DIR=/function',
      'EBB_SECRETS_DIR=/var/openfaas/secrets',
    ]);
    expect([Entrypoint, Cmd, WorkingDir]).toEqual([
      ['/usr/local/bin/node'],
      ['/opt/ebb/runtime/main.mjs'],
      '/function',
    ]);
  });

  test('tell an image its port and mount it nothing but its secrets', () => {
    const config = buildContainerConfig(input({ source: { ...image, command: ['serve', '--fast'] } }));
    expect(config.Env).toEqual(['GREETING=hello', 'PORT=9000', 'EBB_SECRETS_DIR=/var/openfaas/secrets']);
    expect(config.Cmd).toEqual(['serve', '--fast']);
    expect(config.Entrypoint).toBeUndefined();
    expect(config.HostConfig.Mounts).toEqual([mount('/run/i/a1/secrets', '/var/openfaas/secrets', true)]);
  });

  test('put declared volumes of an image into memory, where they have a limit', () => {
    const config = buildContainerConfig(
      input({ source: image }, { image: { id: 'x', user: '', volumes: ['/var/lib/db'] } }),
    );
    expect(Object.keys(config.HostConfig.Tmpfs ?? {})).toEqual(['/tmp', '/var/lib/db']);
  });

  test('stay within what the engine and the host allow', () => {
    const small = buildContainerConfig(input({ limits: { ...spec.limits, memoryBytes: 5 * 2 ** 20, cpuCores: 64 } }));
    expect(small.HostConfig).toMatchObject({ Memory: 6 * 2 ** 20, MemorySwap: 6 * 2 ** 20, NanoCpus: 2e9 });
  });

  test('follow the host: AppArmor only where it is loaded, swappiness only on cgroup version 1', () => {
    const host = { cpus: 2, cgroupVersion: 2, writesCgroups: true, appArmor: true } as const;
    const { HostConfig } = buildContainerConfig(input({}, { host }));
    expect(HostConfig.SecurityOpt).toContain('apparmor=docker-default');
    expect(HostConfig.MemorySwappiness).toBeUndefined();
  });

  test('give no network at all to code that asked for none, and no names to an image that did', () => {
    expect(buildContainerConfig(input({ network: 'none' })).HostConfig.NetworkMode).toBe('none');
    expect(buildContainerConfig(input({ network: 'none', source: image })).HostConfig.Dns).toEqual(['127.0.0.1']);
  });
});

function mount(Source: string, Target: string, ReadOnly: boolean) {
  return { Type: 'bind', Source, Target, ReadOnly, BindOptions: { Propagation: 'rprivate' } };
}
