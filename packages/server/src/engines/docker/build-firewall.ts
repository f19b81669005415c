import { isIPv4 } from 'node:net';

/** What the packet rules of a bridge depend on. */
export interface FirewallInput {
  /** The bridge's network interface on the host. */
  readonly bridge: string;
  /** Whether nothing at all may leave it, not even questions to name servers. */
  readonly isClosed: boolean;
  /** Addresses of the name servers that containers ask. */
  readonly resolvers: readonly string[];
  /** Addresses of the host itself. */
  readonly hostAddresses: readonly string[];
}

/** Packet rules for `iptables`. */
export interface Firewall {
  /** Rules that send the bridge's packets into chains of their own: parent chain, then the rule. */
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

/** Starts the names of the chains, which end in the bridge's name; at most 28 characters in all. */
export const CHAIN_PREFIX = 'EBB-';

/**
 * The rules that keep the containers of a bridge from the host (INPUT) and from other networks (DOCKER-USER, which
 * Docker asks before its own rules). Only answers and questions to the name servers pass.
 */
export function buildFirewall(input: FirewallInput): Firewall {
  const toHost = `${CHAIN_PREFIX}HOST-${input.bridge}`;
  const outward = `${CHAIN_PREFIX}OUT-${input.bridge}`;
  const resolvers = (input.isClosed ? [] : input.resolvers).filter(
    (address) => isIPv4(address) && !address.startsWith('127.'),
  );
  const dns = (chain: string, address: string, verdict: string) =>
    ['udp', 'tcp'].map((protocol) => `-A ${chain} -d ${address}/32 -p ${protocol} --dport 53 -j ${verdict}`);
  const local = new Set(input.hostAddresses);
  const answers = (chain: string) => `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`;
  const hosts = input.hostAddresses.filter(isIPv4).map((address) => `${address}/32`);
  const forbidden = input.isClosed ? ['0.0.0.0/0'] : [...FORBIDDEN_RANGES, ...hosts];
  const rules = [
    answers(toHost),
    ...resolvers.filter((address) => local.has(address)).flatMap((address) => dns(toHost, address, 'ACCEPT')),
    `-A ${toHost} -j DROP`,
    answers(outward),
    ...resolvers.flatMap((address) => dns(outward, address, 'RETURN')),
    `-A ${outward} -o ${input.bridge} -j DROP`,
    // A published port of the host leads to some other container.
    `-A ${outward} -m conntrack --ctstate DNAT -j DROP`,
    ...forbidden.map((range) => `-A ${outward} -d ${range} -j DROP`),
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
