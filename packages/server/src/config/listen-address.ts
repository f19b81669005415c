/** Where a server listens. Port 0 lets the system choose one. */
export interface ListenAddress {
  /** Host name or address without brackets. */
  readonly host: string;
  readonly port: number;
}

const EVERY_ADDRESS = '0.0.0.0';

/**
 * Reads `host:port`, `[ipv6]:port`, `:port` or a bare port; without a host every IPv4 address is meant. Returns
 * undefined for anything else.
 */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match =
    /^(?:(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9](?:[-A-Za-z0-9.]{0,251}[A-Za-z0-9])?))?:)?(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  return port > 65_535 ? undefined : { host: match[1] ?? match[2] ?? EVERY_ADDRESS, port };
}

/** The address as it is written in a URL or a message. */
export function formatListenAddress(address: ListenAddress): string {
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
