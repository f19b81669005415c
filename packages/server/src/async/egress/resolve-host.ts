import { lookup } from 'node:dns/promises';

/** The addresses that a name leads to now, in the order they should be tried. Throws when the resolver fails. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/** Asks the resolver of the host, so that its hosts file and search domains hold. */
export const resolveHost: ResolveHost = async (host) => {
  const found = await lookup(host, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
};
