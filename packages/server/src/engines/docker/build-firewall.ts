import { createHash } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** What the packet rules of an installation depend on. */
export interface FirewallInput {
  readonly installation: string;
  /** Network interface of the installation's bridge on the host. */
  readonly bridge: string;
  /** Addresses of the name servers that containers ask. */
  readonly resolvers: readonly string[];
  /** Addresses of the host itself. */
  readonly hostAddresses: readonly string[];
}

/** Packet rules for `iptables`. */
export interface Firewall {
  /** Rules that send the bridge's packets into chains of the installation: parent chain, then the rule. */
  readonly jumps: readonly { readonly parent: 'INPUT' | 'DOCKER-USER'; readonly rule: readonly string[] }[];
  readonly chains: readonly string[];
  /** Text for `iptables-restore --noflush` that replaces both chains at once. */
  readonly restore: string;
}

/**
 * Where no function may connect to: private, shared, link-local with the clouds' metadata services,
 * benchmark, multicast and reserved ranges (RFC 6890), and the two metadata addresses outside of them: Oracle's
 * 192.0.0.192 and Azure's 168.63.129.16. Alibaba's 100.100.100.200 lies in 100.64/10.
 */
export const FORBIDDEN_RANGES = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
] as const;

/** Short stable name part of an installation: interface names have at most 15 characters, chains 28. */
export function installationTag(installation: string): string {
  return createHash('sha256').update(installation).digest('hex').slice(0, 10);
}

/**
 * The rules that keep an installation's containers from the host (INPUT) and from other networks (DOCKER-USER, which
 * Docker asks before its own rules). Only answers and questions to the name servers pass.
 */
export function buildFirewall(input: FirewallInput): Firewall {
  const tag = installationTag(input.installation);
  const toHost = `EBB-HOST-${tag}`;
  const outward = `EBB-OUT-${tag}`;
  const resolvers = input.resolvers.filter((address) => isIPv4(address) && !address.startsWith('127.'));
  const dns = (chain: string, address: string, verdict: string) =>
    ['udp', 'tcp'].map((protocol) => `-A ${chain} -d ${address}/32 -p ${protocol} --dport 53 -j ${verdict}`);
  const local = new Set(input.hostAddresses);
  const answers = (chain: string) => `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`;
  const rules = [
    answers(toHost),
    ...resolvers.filter((address) => local.has(address)).flatMap((address) => dns(toHost, address, 'ACCEPT')),
    `-A ${toHost} -j DROP`,
    answers(outward),
    ...resolvers.flatMap((address) => dns(outward, address, 'RETURN')),
    `-A ${outward} -o ${input.bridge} -j DROP`,
    // A published port of the host leads to some other container.
    `-A ${outward} -m conntrack --ctstate DNAT -j DROP`,
    ...[...FORBIDDEN_RANGES, ...input.hostAddresses.filter(isIPv4).map((address) => `${address}/32`)].map(
      (range) => `-A ${outward} -d ${range} -j DROP`,
    ),
    `-A ${outward} -j RETURN`,
  ];
  return {
    jumps: [
      { parent: 'INPUT', rule: ['-i', input.bridge, '-j', toHost] },
      { parent: 'DOCKER-USER', rule: ['-i', input.bridge, '-j', outward] },
    ],
    chains: [toHost, outward],
    restore: ['*filter', `:${toHost} - [0:0]`, `:${outward} - [0:0]`, ...rules, 'COMMIT', ''].join('\n'),
  };
}
