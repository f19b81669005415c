import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { isIPv4 } from 'node:net';
import { buildFirewall, CHAIN_PREFIX, type Firewall } from './build-firewall.ts';
import { BRIDGE_PREFIX, type InstanceNetwork } from './network.ts';

/** Whether the packet rules of a bridge are in force; if not, why. */
export type FirewallState =
  | { readonly kind: 'active' }
  /** Nothing to protect yet: the bridge is made with the first instance, and its rules with it. */
  | { readonly kind: 'pending' }
  | { readonly kind: 'absent'; readonly reason: string };

const TIMEOUT_MS = 10_000;

/**
 * Puts the packet rules of a bridge in force, replacing older ones at once. Never throws: hosts
 * where it cannot be done (not root, no iptables, a daemon elsewhere) are reported by reason.
 */
export async function applyFirewall(network: InstanceNetwork): Promise<FirewallState> {
  const obstacle = findObstacle(network.bridge);
  if (obstacle !== undefined) return { kind: 'absent', reason: obstacle };
  try {
    const firewall = await describeFirewall(network);
    await iptables('iptables-restore', ['-w', '5', '--noflush'], firewall.restore);
    for (const { parent, rule } of await jumpsOf(firewall)) {
      if (await isInForce(parent, rule)) continue;
      await iptables('iptables', ['-w', '5', '-I', parent, '1', ...rule]);
    }
    return { kind: 'active' };
  } catch (error) {
    return { kind: 'absent', reason: `iptables failed: ${firstLine(error)}` };
  }
}

/** Whether the rules are in force now; somebody else may have flushed them. Never throws. */
export async function checkFirewall(network: InstanceNetwork): Promise<FirewallState> {
  const obstacle = findObstacle(network.bridge);
  if (obstacle !== undefined) return { kind: 'absent', reason: obstacle };
  try {
    for (const { parent, rule } of await jumpsOf(await describeFirewall(network))) {
      if (!(await isInForce(parent, rule))) return { kind: 'absent', reason: `the rule in ${parent} is gone` };
    }
    return { kind: 'active' };
  } catch (error) {
    return { kind: 'absent', reason: `iptables failed: ${firstLine(error)}` };
  }
}

/** What would become of the rules if the bridge were made now. Never throws. */
export async function foreseeFirewall(): Promise<FirewallState> {
  const obstacle = findHostObstacle();
  if (obstacle !== undefined) return { kind: 'absent', reason: obstacle };
  try {
    await iptables('iptables', ['-w', '5', '-n', '-L', 'INPUT']);
    return { kind: 'pending' };
  } catch (error) {
    return { kind: 'absent', reason: `iptables failed: ${firstLine(error)}` };
  }
}

/** Takes the rules of a bridge away, and nothing else. Never throws. */
export async function removeFirewall(network: InstanceNetwork): Promise<void> {
  if (findHostObstacle() !== undefined) return;
  const firewall = await describeFirewall(network);
  for (const { parent, rule } of await jumpsOf(firewall).catch(() => firewall.jumps)) {
    await iptables('iptables', ['-w', '5', '-D', parent, ...rule]).catch(() => {});
  }
  for (const chain of firewall.chains) await removeChain(chain);
}

/** Takes away rules of bridges that are gone: those of killed servers whose network somebody removed. Never throws. */
export async function sweepFirewalls(): Promise<void> {
  if (findHostObstacle() !== undefined) return;
  const listing = await iptables('iptables', ['-w', '5', '-S']).catch(() => '');
  const isGone = (bridge: string) => !existsSync(`/sys/class/net/${bridge}`);
  const chains = new Set<string>();
  for (const [, parent = '', rule = '', bridge = '', chain = ''] of listing.matchAll(JUMP_PATTERN)) {
    if (!isGone(bridge)) continue;
    await iptables('iptables', ['-w', '5', '-D', parent, ...rule.split(' ')]).catch(() => {});
    chains.add(chain);
  }
  for (const chain of chains) await removeChain(chain);
}

const JUMP_PATTERN = new RegExp(`^-A (\\S+) (-i (${BRIDGE_PREFIX}[0-9a-f]+) -j (${CHAIN_PREFIX}\\S+))$`, 'gm');

async function removeChain(chain: string): Promise<void> {
  await iptables('iptables', ['-w', '5', '-F', chain]).catch(() => {});
  await iptables('iptables', ['-w', '5', '-X', chain]).catch(() => {});
}

function findHostObstacle(): string | undefined {
  if (process.platform !== 'linux') return 'the host is not Linux';
  return process.getuid?.() === 0 ? undefined : 'the server does not run as root';
}

function findObstacle(bridge: string): string | undefined {
  const obstacle = findHostObstacle();
  if (obstacle !== undefined) return obstacle;
  if (!existsSync(`/sys/class/net/${bridge}`)) return 'the Docker daemon runs in another network namespace';
  return undefined;
}

async function describeFirewall(network: InstanceNetwork): Promise<Firewall> {
  const hostAddresses = Object.entries(networkInterfaces())
    .flatMap(([name, addresses]) => (name === network.bridge ? [] : (addresses ?? [])))
    .map(({ address }) => address)
    .filter((address) => isIPv4(address) && !address.startsWith('127.'));
  return buildFirewall({
    bridge: network.bridge,
    isClosed: network.kind === 'closed',
    hostAddresses: [...new Set(hostAddresses)].sort(),
    resolvers: await resolvers(),
  });
}

/** The host's name servers as Docker picks them: behind systemd-resolved's stub, those it asks itself. */
async function resolvers(): Promise<readonly string[]> {
  const read = async (path: string) =>
    [...(await readFile(path, 'utf8').catch(() => '')).matchAll(/^\s*nameserver\s+(\S+)/gm)].map(
      (match) => match[1] ?? '',
    );
  const configured = await read('/etc/resolv.conf');
  const own = configured.every((address) => address === '127.0.0.53')
    ? await read('/run/systemd/resolve/resolv.conf')
    : configured;
  // Without one of the host's, Docker gives containers these.
  const usable = own.filter((address) => !address.startsWith('127.'));
  return usable.length > 0 ? usable : ['8.8.8.8', '8.8.4.4'];
}

/** Daemons that use nftables directly make no DOCKER-USER chain; there the rule goes to FORWARD. */
async function jumpsOf(
  firewall: Firewall,
): Promise<readonly { readonly parent: string; readonly rule: readonly string[] }[]> {
  const hasDockerUser = await iptables('iptables', ['-w', '5', '-n', '-L', 'DOCKER-USER']).then(
    () => true,
    () => false,
  );
  return firewall.jumps.map(({ parent, rule }) => ({
    parent: parent === 'DOCKER-USER' && !hasDockerUser ? 'FORWARD' : parent,
    rule,
  }));
}

async function isInForce(parent: string, rule: readonly string[]): Promise<boolean> {
  return iptables('iptables', ['-w', '5', '-C', parent, ...rule]).then(
    () => true,
    () => false,
  );
}

function iptables(program: 'iptables' | 'iptables-restore', args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr.trim() || error.message, { cause: error }));
      else resolve(stdout);
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
