import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyLimits, findCgroup } from './cgroup-limits.ts';

const MIB = 2 ** 20;
const from = { memoryBytes: 256 * MIB, cpuCores: 1, pids: 256, tmpBytes: 0 };

describe('limits of a running container', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ebb-cgroup-'));
    await mkdir(join(root, 'proc/7'), { recursive: true });
  });
  afterEach(() => rm(root, { recursive: true }));

  const read = (path: string) => readFile(join(root, 'sys/fs/cgroup', path), 'utf8').catch(() => undefined);

  test('version 2: one directory has them all', async () => {
    await writeFile(join(root, 'proc/7/cgroup'), '0::/docker/c1\n');
    await mkdir(join(root, 'sys/fs/cgroup/docker/c1'), { recursive: true });
    const cgroup = await findCgroup(7, root);
    expect(cgroup?.version).toBe(2);
    if (cgroup) await applyLimits(cgroup, from, { ...from, memoryBytes: 512 * MIB, cpuCores: 0.25, pids: 10 });
    expect(await read('docker/c1/memory.max')).toBe(String(512 * MIB));
    expect(await read('docker/c1/cpu.max')).toBe('25000 100000');
    expect(await read('docker/c1/pids.max')).toBe('10');
  });

  test('version 1: each controller has a directory of its own, shared names included', async () => {
    await writeFile(join(root, 'proc/7/cgroup'), '8:pids:/d/c1\n4:memory:/d/c1\n2:cpu,cpuacct:/d/c1\n0::/d/c1\n');
    for (const name of ['pids', 'memory', 'cpu'])
      await mkdir(join(root, 'sys/fs/cgroup', name, 'd/c1'), { recursive: true });
    const cgroup = await findCgroup(7, root);
    expect(cgroup?.version).toBe(1);
    if (cgroup) await applyLimits(cgroup, from, { ...from, memoryBytes: 128 * MIB, cpuCores: 2, pids: 10 });
    expect(await read('memory/d/c1/memory.limit_in_bytes')).toBe(String(128 * MIB));
    expect(await read('memory/d/c1/memory.memsw.limit_in_bytes')).toBe(String(128 * MIB));
    expect(await read('cpu/d/c1/cpu.cfs_quota_us')).toBe('200000');
    expect(await read('pids/d/c1/pids.max')).toBe('10');
  });

  test('what is the same is not written', async () => {
    await writeFile(join(root, 'proc/7/cgroup'), '0::/c1\n');
    await mkdir(join(root, 'sys/fs/cgroup/c1'), { recursive: true });
    const cgroup = await findCgroup(7, root);
    if (cgroup) await applyLimits(cgroup, from, { ...from, pids: 9 });
    expect(await read('c1/memory.max')).toBeUndefined();
    expect(await read('c1/pids.max')).toBe('9');
  });

  test('a limit that cannot be set is an error, so that the engine is asked instead', async () => {
    await writeFile(join(root, 'proc/7/cgroup'), '0::/gone\n');
    const cgroup = await findCgroup(7, root);
    expect(cgroup).toBeDefined();
    if (cgroup) await expect(applyLimits(cgroup, from, { ...from, memoryBytes: 1 })).rejects.toThrow('ENOENT');
    expect(await findCgroup(8, root)).toBeUndefined();
  });
});
