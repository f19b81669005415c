import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { decideAddresses, decideUrl, type EgressExceptions, parseExceptions } from './decide-egress.ts';

const NONE: EgressExceptions = { hosts: new Set(), ranges: [] };

function except(text: string): EgressExceptions {
  const parsed = parseExceptions(text);
  if ('invalid' in parsed) throw new Error(parsed.invalid);
  return parsed;
}

function kindOf(address: string, exceptions = NONE, host = 'example.com'): string {
  return decideAddresses(host, [address], exceptions).kind;
}

/** First address, and how many there are, of ranges that must never be reached. */
const FORBIDDEN = (
  [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const
).map(([first, bits]) => ({ first: toNumber(first), size: 2 ** (32 - bits) }));

function toNumber(text: string): number {
  return text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

const forbiddenV4 = fc
  .constantFrom(...FORBIDDEN)
  .chain(({ first, size }) => fc.nat({ max: size - 1 }).map((offset) => toText(first + offset)));

function groups(v4: string): string {
  const value = toNumber(v4);
  return `${Math.floor(value / 65536).toString(16)}:${(value % 65536).toString(16)}`;
}

describe('decideAddresses', () => {
  test('case 27: no address of a range that is not public is reached', () => {
    fc.assert(
      fc.property(forbiddenV4, (address) => kindOf(address) === 'refused'),
      { numRuns: 2_000 },
    );
  });

  test('case 27: nor when it is written into an IPv6 address', () => {
    const wrappings = [
      (v4: string) => `::ffff:${v4}`,
      (v4: string) => `::${groups(v4)}`,
      (v4: string) => `::ffff:0:${groups(v4)}`,
      (v4: string) => `64:ff9b::${groups(v4)}`,
      (v4: string) => `64:ff9b:1::${groups(v4)}`,
      (v4: string) => `2002:${groups(v4)}::1`,
      (v4: string) => `2001:0:${groups(v4)}::1`,
      (v4: string) => `2a00:1450::5efe:${groups(v4)}`,
      (v4: string) => `2a00:1450::200:5efe:${groups(v4)}`,
    ];
    fc.assert(
      fc.property(forbiddenV4, fc.constantFrom(...wrappings), (v4, wrap) => kindOf(wrap(v4)) === 'refused'),
      { numRuns: 2_000 },
    );
  });

  test('of IPv6 only what is given out to the public is reached', () => {
    const anyV6 = fc.array(fc.nat({ max: 0xffff }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(anyV6, (parts) => {
        const isGlobal = (parts[0] ?? 0) >> 13 === 1;
        const address = new ipaddr.IPv6(parts).toString();
        return isGlobal || kindOf(address) === 'refused';
      }),
      { numRuns: 2_000 },
    );
  });

  test('one address that is refused refuses all of a name, wherever it stands', () => {
    const decision = fc.property(forbiddenV4, fc.nat({ max: 3 }), (bad, at) => {
      const addresses = ['93.184.215.14', '2606:2800:21f:cb07::1', '1.1.1.1'].toSpliced(at, 0, bad);
      return decideAddresses('example.com', addresses, NONE).kind === 'refused';
    });
    fc.assert(decision);
  });

  test.each([
    ['169.254.169.254', 'refused'],
    ['100.100.100.200', 'refused'],
    ['168.63.129.16', 'refused'],
    ['192.0.0.192', 'refused'],
    ['fd00:ec2::254', 'refused'],
    ['fd20:ce::254', 'refused'],
    ['fe80::1', 'refused'],
    ['fe80::1%eth0', 'refused'],
    ['fec0::1', 'refused'],
    ['::', 'refused'],
    ['::1', 'refused'],
    ['ff02::1', 'refused'],
    ['2001:db8::1', 'refused'],
    ['2001:2::1', 'refused'],
    ['127.1', 'refused'],
    ['0x7f.1', 'refused'],
    ['2130706433', 'refused'],
    ['0177.0.0.1', 'refused'],
    ['', 'refused'],
    ['93.184.215.14', 'allowed'],
    ['2606:2800:21f:cb07::1', 'allowed'],
  ])('the address %j is %s', (address, kind) => {
    expect(kindOf(address)).toBe(kind);
  });

  test('a name without an address is refused', () => {
    expect(decideAddresses('example.com', [], NONE).kind).toBe('refused');
  });

  test('an excepted range lets its addresses through and no others', () => {
    const exceptions = except('10.1.0.0/16,fd12::/16');
    expect(kindOf('10.1.2.3', exceptions)).toBe('allowed');
    expect(kindOf('fd12::1', exceptions)).toBe('allowed');
    expect(kindOf('10.2.0.1', exceptions)).toBe('refused');
    expect(kindOf('::ffff:10.1.2.3', exceptions)).toBe('refused');
  });

  test('an excepted name leads to private addresses, but not to metadata unless its range is excepted', () => {
    const exceptions = except('hooks.internal');
    expect(kindOf('10.1.2.3', exceptions, 'Hooks.Internal.')).toBe('allowed');
    expect(kindOf('10.1.2.3', exceptions, 'other.internal')).toBe('refused');
    expect(kindOf('169.254.169.254', exceptions, 'hooks.internal')).toBe('refused');
    expect(kindOf('100.100.100.200', exceptions, 'hooks.internal')).toBe('refused');
    expect(kindOf('fd00:ec2::254', exceptions, 'hooks.internal')).toBe('refused');
    expect(kindOf('169.254.169.254', except('169.254.169.254'))).toBe('allowed');
  });
});

describe('parseExceptions', () => {
  test.each(['10.0.0.0/99', '1.2.3', '300.1.1.1', 'a..b', 'http://x', '::1/129', '-,/'])('refuses %j', (text) => {
    expect(parseExceptions(text)).toHaveProperty('invalid');
  });

  test('takes names, addresses and ranges', () => {
    const parsed = except('Hooks.Internal,127.0.0.1,10.0.0.0/8,::1,fd00::/8');
    expect([...parsed.hosts]).toEqual(['hooks.internal']);
    expect(parsed.ranges).toHaveLength(4);
  });
});

describe('decideUrl', () => {
  test.each([
    'gopher://example.com/',
    'file:///etc/passwd',
    'ftp://example.com/',
    'javascript:alert(1)',
    'http://user@example.com/',
    'http://user:pw@example.com/',
    'http://@example.com/',
    'http://:@example.com/',
    'http:\\\\example.com\\',
    'http://example.com\\@10.0.0.1/',
    'http://exa mple.com/',
    'http://example.com/\r\nx: y',
    '//example.com/',
    'http://',
    'http://[::1',
    'http://999.1.1.1/',
  ])('case 27: refuses %j', (text) => {
    expect(decideUrl(text).kind).toBe('refused');
  });

  test.each([
    ['http://127.1/', '127.0.0.1'],
    ['http://0x7f.1/', '127.0.0.1'],
    ['http://0177.0.0.1/', '127.0.0.1'],
    ['http://2130706433/', '127.0.0.1'],
    ['http://０x7f.1/', '127.0.0.1'],
    ['http://[::ffff:10.0.0.1]/', '[::ffff:a00:1]'],
  ])('case 27: the host of %j is read as %j, and refused as that address', (text, host) => {
    const decision = decideUrl(text);
    if (decision.kind === 'refused') throw new Error(decision.reason);
    expect(decision.url.hostname).toBe(host);
    expect(kindOf(host.replace(/^\[|\]$/g, ''))).toBe('refused');
  });

  test('any port is allowed', () => {
    expect(decideUrl('https://example.com:8443/hook?x=1').kind).toBe('allowed');
  });
});
