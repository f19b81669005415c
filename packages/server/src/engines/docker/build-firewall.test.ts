import { describe, expect, test } from 'vitest';
import { buildFirewall, FORBIDDEN_RANGES } from './build-firewall.ts';

const input = {
  bridge: 'ebb0123456789a',
  isClosed: false,
  resolvers: ['10.1.1.1', '127.0.0.53', 'fe80::1'],
  hostAddresses: ['192.0.2.2'],
};
const tag = input.bridge;

describe('the packet rules of a bridge', () => {
  const { restore, jumps, chains } = buildFirewall(input);
  const rules = (chain: string) => restore.split('\n').filter((line) => line.startsWith(`-A ${chain} `));

  test('keep functions from every port of the host (case 25)', () => {
    expect(rules(`EBB-HOST-${tag}`)).toEqual([
      `-A EBB-HOST-${tag} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `-A EBB-HOST-${tag} -j DROP`,
    ]);
  });

  test('let questions to the name servers of the host pass, and nothing else private', () => {
    const outward = rules(`EBB-OUT-${tag}`);
    const dns = outward.filter((rule) => rule.includes('--dport 53'));
    expect(dns).toEqual([
      `-A EBB-OUT-${tag} -d 10.1.1.1/32 -p udp --dport 53 -j RETURN`,
      `-A EBB-OUT-${tag} -d 10.1.1.1/32 -p tcp --dport 53 -j RETURN`,
    ]);
    for (const range of [...FORBIDDEN_RANGES, '192.0.2.2/32']) {
      expect(outward.indexOf(`-A EBB-OUT-${tag} -d ${range} -j DROP`), range).toBeGreaterThan(
        outward.indexOf(dns[1] ?? ''),
      );
    }
    expect(outward.at(-1)).toBe(`-A EBB-OUT-${tag} -j RETURN`);
  });

  test('a name server on the host itself can be asked', () => {
    const own = buildFirewall({ ...input, resolvers: ['192.0.2.2'] }).restore;
    expect(own).toContain(`-A EBB-HOST-${tag} -d 192.0.2.2/32 -p udp --dport 53 -j ACCEPT\n`);
  });

  test('cover every metadata service of the clouds (case 26)', () => {
    for (const address of [
      '169.254.169.254',
      '169.254.170.2',
      '100.100.100.200',
      '169.254.0.23',
      '168.63.129.16',
      '192.0.0.192',
    ]) {
      expect(
        FORBIDDEN_RANGES.some((range) => contains(range, address)),
        address,
      ).toBe(true);
    }
    for (const address of ['1.1.1.1', '151.101.2.132', '172.32.0.1', '100.128.0.1']) {
      expect(
        FORBIDDEN_RANGES.some((range) => contains(range, address)),
        address,
      ).toBe(false);
    }
  });

  test('let nothing out of a closed one', () => {
    const closed = buildFirewall({ ...input, isClosed: true }).restore;
    expect(closed).not.toContain('--dport 53');
    expect(closed).toContain(`-A EBB-OUT-${tag} -d 0.0.0.0/0 -j DROP\n`);
  });

  test('touch only packets of their own bridge, in chains of their own', () => {
    for (const { rule } of jumps) expect(rule.slice(0, 2)).toEqual(['-i', input.bridge]);
    for (const chain of chains) expect(chain.length).toBeLessThanOrEqual(28);
    expect(buildFirewall({ ...input, bridge: 'ebb1123456789a' }).chains).not.toEqual(chains);
  });
});

function contains(range: string, address: string): boolean {
  const [base = '', bits = ''] = range.split('/');
  const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  return Math.floor(number(base) / size) === Math.floor(number(address) / size);
}
