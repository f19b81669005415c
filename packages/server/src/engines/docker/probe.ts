import { statfs } from 'node:fs/promises';
import { asEbbError } from '../../core/errors.ts';
import type { EngineStatus } from '../engine.ts';
import { foreseeCgroupFreezer } from './cgroup-freezer.ts';
import { ask } from './dial.ts';
import type { DockerClient } from './docker-client.ts';
import { type DaemonFacts, findings } from './findings.ts';
import { checkFirewall, type FirewallState, foreseeFirewall } from './firewall.ts';
import { type InstanceNetwork, networkExists } from './network.ts';

/** What {@link probeDocker} looks at. */
export interface ProbeOptions {
  readonly client: DockerClient;
  readonly network: InstanceNetwork;
  readonly dataDir: string;
  readonly freezeBy: 'cgroup' | 'engine';
  /** Why instances cannot be kept ready without code, as {@link MountTable.foresee} says. */
  readonly sparesLack: () => Promise<string | undefined>;
  readonly signal?: AbortSignal;
}

/** The parts of the daemon's `/info` that are read. */
export interface DaemonInfo {
  readonly NCPU?: number;
  readonly Architecture?: string;
  readonly CgroupVersion?: string;
  readonly CgroupDriver?: string;
  readonly SecurityOptions?: readonly string[] | null;
  readonly PidsLimit?: boolean;
  readonly MemoryLimit?: boolean;
  readonly SwapLimit?: boolean;
  readonly CpuCfsQuota?: boolean;
  readonly Driver?: string;
  readonly DockerRootDir?: string;
}

interface DaemonVersion {
  readonly Version: string;
  readonly Components?: readonly { readonly Name: string; readonly Version: string }[];
}

/** Asks a daemon how it is and what it lacks. Never throws. */
export async function probeDocker(options: ProbeOptions): Promise<EngineStatus> {
  const { client, signal } = options;
  const { docker, deadlines } = client;
  try {
    const [version, info] = await Promise.all([
      client.call(
        'say its version',
        deadlines.queryMs,
        (abortSignal) => ask<DaemonVersion>(docker, '/version', abortSignal),
        signal,
      ),
      client.call(
        'say how it is',
        deadlines.queryMs,
        (abortSignal) => ask<DaemonInfo>(docker, '/info', abortSignal),
        signal,
      ),
    ]);
    const components = new Map((version.Components ?? []).map(({ Name, Version }) => [Name.toLowerCase(), Version]));
    const facts: DaemonFacts = {
      docker: version.Version,
      containerd: components.get('containerd'),
      runc: components.get('runc'),
      cgroupVersion: info.CgroupVersion ?? '1',
      securityOptions: info.SecurityOptions ?? [],
      pidsLimit: info.PidsLimit ?? false,
      memoryLimit: info.MemoryLimit ?? false,
      swapLimit: info.SwapLimit ?? false,
      cpuQuota: info.CpuCfsQuota ?? false,
      storageDriver: info.Driver ?? 'unknown',
      dockerFreeBytes: await freeBytes(info.DockerRootDir ?? '/'),
      dataFreeBytes: await freeBytes(options.dataDir),
      firewall: await firewallState(options),
      freezeBy: options.freezeBy === 'cgroup' && foreseeCgroupFreezer() ? 'cgroup' : 'engine',
      sparesLack: await options.sparesLack(),
    };
    return { ok: true, message: `Docker ${version.Version}`, findings: findings(facts) };
  } catch (error) {
    const message =
      asEbbError(error).code === 'INTERNAL'
        ? 'the daemon gave an answer that makes no sense'
        : asEbbError(error).message;
    return {
      ok: false,
      message,
      findings: [
        {
          check: 'docker',
          level: 'missing',
          message,
          advice: 'Install Docker 23 or newer and start its daemon, or use the process engine, which does not isolate.',
        },
      ],
    };
  }
}

/** The rules of a network that exists, else whether they can be set once it does. */
async function firewallState(options: ProbeOptions): Promise<FirewallState> {
  const { client, network, signal } = options;
  return (await networkExists(client, network.network, signal)) ? checkFirewall(network) : foreseeFirewall();
}

async function freeBytes(path: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
