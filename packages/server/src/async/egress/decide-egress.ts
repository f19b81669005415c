import ipaddr from 'ipaddr.js';

/** Whether something may be done; `reason` ends a sentence that begins with what was asked for. */
export type Decision = { readonly kind: 'allowed' } | { readonly kind: 'refused'; readonly reason: string };

/** Exceptions to what is refused: names, and ranges of addresses. */
export interface EgressExceptions {
  /** In lower case, without a dot at the end. */
  readonly hosts: ReadonlySet<string>;
  readonly ranges: readonly { readonly address: ipaddr.IPv4 | ipaddr.IPv6; readonly bits: number }[];
}

const ALLOWED: Decision = { kind: 'allowed' };

/** Only this part of IPv6 is given out to networks of the public; all that embeds IPv4 elsewhere lies outside or is special. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** What answers questions about the machine itself in clouds, at addresses that look public. */
const METADATA: ReadonlySet<string> = new Set(['168.63.129.16']);

/** What a name may lead to, once it is excepted, without its range being excepted as well. */
const EXCEPTED_BY_NAME: ReadonlySet<string> = new Set([
  'unicast',
  'private',
  'loopback',
  'carrierGradeNat',
  'uniqueLocal',
]);

/** Link-local as well as within these ranges are the addresses of cloud metadata that a name never leads to. */
const METADATA_IN_PRIVATE: ReadonlySet<string> = new Set(['100.100.100.200', 'fd00:ec2::254', 'fd20:ce::254']);

const NAMES: Readonly<Record<string, string>> = {
  unspecified: 'an unspecified address',
  broadcast: 'a broadcast address',
  multicast: 'a multicast address',
  linkLocal: 'a link-local address',
  loopback: 'a loopback address',
  carrierGradeNat: 'an address of a shared network',
  private: 'a private address',
  uniqueLocal: 'a private address',
  deprecatedSiteLocal: 'a private address',
  ipv4Mapped: 'an IPv4 address written as IPv6',
  rfc6145: 'an IPv4 address written as IPv6',
  rfc6052: 'an IPv4 address written as IPv6',
  '6to4': 'an IPv4 address written as IPv6',
  teredo: 'an IPv4 address written as IPv6',
};

/**
 * Reads hosts, addresses and ranges that are separated by commas: `hooks.internal,10.1.0.0/16,::1`. Returns the first
 * word that is none of them as `invalid`.
 */
export function parseExceptions(text: string): EgressExceptions | { readonly invalid: string } {
  const hosts = new Set<string>();
  const ranges: { address: ipaddr.IPv4 | ipaddr.IPv6; bits: number }[] = [];
  for (const word of text.split(',').map((part) => part.trim())) {
    if (word === '') continue;
    if (ipaddr.isValidCIDR(word)) {
      const [address, bits] = ipaddr.parseCIDR(word);
      ranges.push({ address, bits });
    } else if (isPlainAddress(word)) {
      const address = ipaddr.parse(word);
      ranges.push({ address, bits: address.kind() === 'ipv4' ? 32 : 128 });
    } else if (/^(?=.{1,253}$)(?!.*\.\.)[0-9a-z_-][0-9a-z._-]*$/i.test(word) && !/^[\d.]+$/.test(word)) {
      hosts.add(bareHost(word));
    } else {
      return { invalid: word };
    }
  }
  return { hosts, ranges };
}

/** Whether an address that a user wrote may be looked up at all: http or https, and no credentials in it. */
export function decideUrl(
  text: string,
): { readonly kind: 'allowed'; readonly url: URL } | Extract<Decision, { kind: 'refused' }> {
  // Parsers differ over what is between these and the host, so nothing is left to read in two ways.
  if (!/^[!-[\]-~\u00a1-\u{10ffff}]+$/u.test(text)) return refused('has characters that do not belong into an address');
  const url = URL.parse(text);
  if (!url) return refused('is not an address');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refused('must begin with http:// or https://');
  if (url.username !== '' || url.password !== '' || /^[a-z]+:\/\/[^/?#]*@/i.test(text)) {
    return refused('must not hold a user or a password');
  }
  if (url.hostname === '') return refused('names no host');
  return { kind: 'allowed', url };
}

/**
 * Whether a host may be connected to: all of the addresses that its name led to have to be allowed, so that none can
 * hide behind another. `host` is what the address names, in brackets or not; `addresses` what it was resolved to.
 */
export function decideAddresses(host: string, addresses: readonly string[], exceptions: EgressExceptions): Decision {
  if (addresses.length === 0) return refused('leads to no address');
  const isExcepted = exceptions.hosts.has(bareHost(host));
  for (const address of addresses) {
    const decision = decideAddress(address, isExcepted, exceptions);
    if (decision.kind === 'refused') return decision;
  }
  return ALLOWED;
}

function decideAddress(text: string, isExcepted: boolean, { ranges }: EgressExceptions): Decision {
  if (!isPlainAddress(text)) return refused('leads to something that is not an address');
  const address = ipaddr.parse(text);
  if (ranges.some((range) => isWithin(address, range.address, range.bits))) return ALLOWED;
  const kind = address.range();
  const isMetadata = METADATA.has(address.toString());
  if (isExcepted && EXCEPTED_BY_NAME.has(kind) && !isMetadata && !METADATA_IN_PRIVATE.has(address.toString())) {
    return ALLOWED;
  }
  if (isMetadata) return refused(`leads to ${text}, a metadata address`);
  if (kind === 'unicast' && isPublic(address)) return ALLOWED;
  return refused(`leads to ${text}, ${NAMES[kind] ?? 'an address that is not public'}`);
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (!isV6(address)) return true;
  if (!address.match(GLOBAL_IPV6)) return false;
  // ISATAP writes an IPv4 address behind a fixed mark into the lower half, whatever the network is.
  const [, , , , high = 0, low = 0] = address.parts;
  return !(low === 0x5efe && (high === 0 || high === 0x200));
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, range: ipaddr.IPv4 | ipaddr.IPv6, bits: number): boolean {
  if (isV6(address)) return isV6(range) && address.match(range, bits);
  return !isV6(range) && address.match(range, bits);
}

function isV6(address: ipaddr.IPv4 | ipaddr.IPv6): address is ipaddr.IPv6 {
  return address.kind() === 'ipv6';
}

/** Four decimal parts, or IPv6 without a zone: what resolvers answer. Other spellings are never taken for addresses. */
function isPlainAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || (ipaddr.IPv6.isValid(text) && !text.includes('%'));
}

function bareHost(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

function refused(reason: string): Extract<Decision, { kind: 'refused' }> {
  return { kind: 'refused', reason };
}
