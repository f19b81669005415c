import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceLimits } from '../engine.ts';

/** Length of the kernel's accounting period that the engine uses, in microseconds. */
const PERIOD_US = 100_000;

/** The control groups of one container, by the directory of each controller. */
export interface ContainerCgroup {
  readonly version: 1 | 2;
  readonly memory: string;
  readonly cpu: string;
  readonly pids: string;
}

/**
 * Finds the control groups of a process (cgroups(7), /proc/PID/cgroup). Undefined where they are not mounted in the
 * usual place. `root` is that of the file system, for tests.
 */
export async function findCgroup(pid: number, root = '/'): Promise<ContainerCgroup | undefined> {
  const text = await readFile(join(root, 'proc', String(pid), 'cgroup'), 'utf8').catch(() => '');
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.+)$/.exec(line) ?? [];
    if (path === '') continue;
    for (const controller of controllers.split(',')) paths.set(controller, path);
  }
  const base = join(root, 'sys/fs/cgroup');
  const [memory, cpu, pids] = ['memory', 'cpu', 'pids'].map((controller) => {
    const path = paths.get(controller);
    return path === undefined ? undefined : join(base, controller, path);
  });
  if (memory !== undefined && cpu !== undefined && pids !== undefined) return { version: 1, memory, cpu, pids };
  const unified = paths.get('');
  if (unified === undefined) return undefined;
  const directory = join(base, unified);
  return { version: 2, memory: directory, cpu: directory, pids: directory };
}

/**
 * Puts the limits of a running container in force by writing them where the engine would. Throws what the file system
 * says; some may be in force then.
 */
export async function applyLimits(cgroup: ContainerCgroup, from: InstanceLimits, to: InstanceLimits): Promise<void> {
  const work: Promise<void>[] = [];
  if (to.memoryBytes !== from.memoryBytes) work.push(setMemory(cgroup, from.memoryBytes, to.memoryBytes));
  if (to.cpuCores !== from.cpuCores) {
    const quota = Math.round(to.cpuCores * PERIOD_US);
    work.push(
      cgroup.version === 2
        ? writeFile(join(cgroup.cpu, 'cpu.max'), `${quota} ${PERIOD_US}`)
        : writeFile(join(cgroup.cpu, 'cpu.cfs_quota_us'), String(quota)),
    );
  }
  if (to.pids !== from.pids) work.push(writeFile(join(cgroup.pids, 'pids.max'), String(to.pids)));
  await Promise.all(work);
}

async function setMemory(cgroup: ContainerCgroup, from: number, to: number): Promise<void> {
  if (cgroup.version === 2) {
    await writeFile(join(cgroup.memory, 'memory.max'), String(to));
    return;
  }
  const files = ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'];
  // Memory and swap together may never be less than memory alone, not even for a moment.
  for (const file of to > from ? files.toReversed() : files) {
    await writeFile(join(cgroup.memory, file), String(to)).catch((error: unknown) => {
      // The kernel may not account swap.
      if (file === files[0] || !isMissing(error)) throw error;
    });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES');
}
