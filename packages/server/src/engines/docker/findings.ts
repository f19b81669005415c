import { type Finding, formatBytes } from '@ebb/contract';
import type { FirewallState } from './firewall.ts';

/** What a daemon and its host say about themselves. */
export interface DaemonFacts {
  readonly docker: string;
  readonly containerd: string | undefined;
  readonly runc: string | undefined;
  readonly cgroupVersion: string;
  readonly securityOptions: readonly string[];
  readonly pidsLimit: boolean;
  readonly memoryLimit: boolean;
  readonly swapLimit: boolean;
  readonly cpuQuota: boolean;
  readonly storageDriver: string;
  /** Undefined where it cannot be measured from here. */
  readonly dockerFreeBytes: number | undefined;
  readonly dataFreeBytes: number | undefined;
  readonly firewall: FirewallState;
  /** How idle instances are frozen. */
  readonly freezeBy: 'cgroup' | 'engine';
  /** Why instances cannot be kept ready without code; undefined when they can. */
  readonly sparesLack: string | undefined;
}

const LOW_DISK_BYTES = 2 * 2 ** 30;

/** What is well, degraded or unsafe about a daemon, for `ebb doctor`. Pure. */
export function findings(facts: DaemonFacts): readonly Finding[] {
  const hasOption = (name: string) => facts.securityOptions.some((option) => option.includes(name));
  return [
    dockerFinding(facts.docker),
    runcFinding(facts.runc),
    containerdFinding(facts.containerd),
    facts.cgroupVersion === '2'
      ? ok('cgroup', 'cgroup version 2')
      : degraded(
          'cgroup',
          'cgroup version 1: limits hold, but pressure is not measured per instance',
          'Boot the host with systemd.unified_cgroup_hierarchy=1.',
        ),
    hasOption('seccomp')
      ? ok('seccomp', 'the daemon filters system calls')
      : unsafe(
          'seccomp',
          'the daemon cannot filter system calls',
          'Use a kernel and a Docker that are built with seccomp.',
        ),
    hasOption('apparmor')
      ? ok('apparmor', 'containers are confined by AppArmor')
      : degraded(
          'apparmor',
          'AppArmor is not loaded: one layer of defence less',
          'Enable AppArmor in the kernel and restart Docker.',
        ),
    controller('memory', facts.memoryLimit, 'memory limits'),
    controller('pids', facts.pidsLimit, 'limits on processes'),
    controller('cpu', facts.cpuQuota, 'CPU limits'),
    facts.swapLimit
      ? ok('swap', 'instances cannot swap')
      : degraded(
          'swap',
          'the kernel does not account swap: instances may swap beyond their memory limit',
          'Boot with swapaccount=1, or switch swap off.',
        ),
    ['overlay2', 'overlayfs', 'btrfs', 'zfs'].includes(facts.storageDriver)
      ? ok('storage', `storage driver ${facts.storageDriver}`)
      : degraded(
          'storage',
          `storage driver ${facts.storageDriver} is slow to start containers`,
          'Put Docker’s data on ext4 or xfs and use overlay2.',
        ),
    disk('docker disk', facts.dockerFreeBytes, 'Remove unused images with "docker system prune", or enlarge the disk.'),
    disk('data disk', facts.dataFreeBytes, 'Free space on the disk of the data directory, or move it.'),
    networkFinding(facts.firewall),
    facts.freezeBy === 'cgroup'
      ? ok('freezing', 'idle instances are frozen through their control group')
      : degraded(
          'freezing',
          'idle instances are frozen through the daemon: the next call waits some ten milliseconds for it',
          'Run the server as root on the Docker host, with the setting freezeBy at "cgroup".',
        ),
    facts.sparesLack === undefined
      ? ok('warm pool', 'instances can be kept ready before they are needed')
      : degraded(
          'warm pool',
          `no instances are kept ready, so every start takes as long as the engine: ${facts.sparesLack}`,
          'Run the server as root on the host of the daemon, so that it can mount code into running containers.',
        ),
  ];
}

function dockerFinding(version: string): Finding {
  if (isBelow(version, [20, 10, 10])) {
    return unsafe(
      'docker',
      `Docker ${version} does not know profiles that current programs need`,
      'Update to Docker 28 or newer.',
    );
  }
  if (isBelow(version, [23, 0, 11])) {
    return unsafe(
      'docker',
      `Docker ${version} has known holes unless your distribution mended them: builds of several tenants share a cache (CVE-2024-24557) and internal networks leak name lookups (CVE-2024-29018)`,
      'Update to Docker 25.0.5 or newer, and build no images of people you do not trust with this daemon.',
    );
  }
  if (isBelow(version, [25, 0, 5])) {
    return degraded('docker', `Docker ${version} is out of support`, 'Update to Docker 28 or newer.');
  }
  return ok('docker', `Docker ${version}`);
}

function runcFinding(version: string | undefined): Finding {
  if (version === undefined)
    return degraded('runc', 'the daemon does not say which runc it uses', 'Check that it is 1.2.8 or newer.');
  const parsed = parseVersion(version);
  const isFixed =
    parsed !== undefined &&
    !isBelow(version, [1, 2, 8]) &&
    !(parsed[0] === 1 && parsed[1] === 3 && isBelow(version, [1, 3, 3])) &&
    !/^1\.4\.0-rc\.?[12]\b/.test(version);
  if (isFixed) return ok('runc', `runc ${version}`);
  const older = isBelow(version, [1, 1, 12]) ? ', and unless your distribution mended it CVE-2024-21626' : '';
  return unsafe(
    'runc',
    `runc ${version} lets a malicious image out of its container: CVE-2025-31133, CVE-2025-52565, CVE-2025-52881${older}`,
    'Update to runc 1.2.8, 1.3.3 or newer, and run only images you trust until then.',
  );
}

function containerdFinding(version: string | undefined): Finding {
  if (version === undefined)
    return degraded(
      'containerd',
      'the daemon does not say which containerd it uses',
      'Check that it is 1.7.29 or newer.',
    );
  const parsed = parseVersion(version);
  const isOld =
    parsed === undefined ||
    isBelow(version, [1, 7, 29]) ||
    (parsed[0] === 2 && parsed[1] === 0 && isBelow(version, [2, 0, 7]));
  return isOld
    ? degraded(
        'containerd',
        `containerd ${version} lacks fixes of CVE-2024-25621 and CVE-2025-64329, which local users can abuse`,
        'Update to containerd 1.7.29, 2.0.7 or newer.',
      )
    : ok('containerd', `containerd ${version}`);
}

function networkFinding(state: FirewallState): Finding {
  const check = 'network rules';
  if (state.kind === 'active') return ok(check, 'functions reach public addresses only');
  if (state.kind === 'pending')
    return ok(check, 'the rules are set together with the network, before the first instance');
  return unsafe(
    check,
    `functions can reach the host and private addresses: ${state.reason}`,
    'Run the server as root on the Docker host with iptables installed, or set "network: none" for functions you do not trust.',
  );
}

function controller(name: string, isThere: boolean, what: string): Finding {
  return isThere
    ? ok(`${name} limit`, `${what} are enforced`)
    : unsafe(
        `${name} limit`,
        `the kernel has no ${name} controller: ${what} are not enforced`,
        `Enable the ${name} cgroup controller.`,
      );
}

function disk(check: string, freeBytes: number | undefined, advice: string): Finding {
  if (freeBytes === undefined) return degraded(check, 'its free space cannot be measured from here', advice);
  return freeBytes < LOW_DISK_BYTES
    ? degraded(check, `only ${formatBytes(freeBytes)} free`, advice)
    : ok(check, `${formatBytes(freeBytes)} free`);
}

function parseVersion(version: string): readonly [number, number, number] | undefined {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

function isBelow(version: string, limit: readonly [number, number, number]): boolean {
  const parsed = parseVersion(version);
  if (!parsed) return false;
  for (const index of [0, 1, 2] as const) if (parsed[index] !== limit[index]) return parsed[index] < limit[index];
  return false;
}

const ok = (check: string, message: string): Finding => ({ check, level: 'ok', message });
const degraded = (check: string, message: string, advice: string): Finding => ({
  check,
  level: 'degraded',
  message,
  advice,
});
const unsafe = (check: string, message: string, advice: string): Finding => ({
  check,
  level: 'unsafe',
  message,
  advice,
});
