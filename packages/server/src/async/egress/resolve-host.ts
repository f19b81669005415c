import { lookup as lookupOnHost, Resolver } from 'node:dns/promises';

/** The addresses that a name leads to now, in the order they should be tried. Throws when the resolver fails. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/** What names are looked up with. */
export interface HostResolverOptions {
  /** Name servers, as `127.0.0.1:53`. Default: those of the host. */
  readonly servers?: readonly string[];
  /** One question to one server. Default: 3 s. */
  readonly timeoutMs?: number;
  /** Asks the host itself, its hosts file and search domains included. */
  readonly lookup?: (host: string) => Promise<readonly string[]>;
}

const TRIES = 2;
/**
 * The host's own resolver blocks one of the few threads that files are read and written with. Whoever names an address may
 * also run its name server, and let it be silent, so only so many are asked at once.
 */
const LOOKUPS_AT_ONCE = 2;

/**
 * Makes a resolver that no name server can hold anything up with: DNS is asked without a thread, and only what it does
 * not know is asked of the host, a few at a time. A name server that is silent is an error.
 */
export function createHostResolver(options: HostResolverOptions = {}): ResolveHost {
  const { servers, timeoutMs = 3_000, lookup = askHost } = options;
  const resolver = new Resolver({ timeout: timeoutMs, tries: TRIES });
  if (servers) resolver.setServers(servers);
  const line: (() => void)[] = [];
  let asking = 0;

  const askInTurn = async (host: string): Promise<readonly string[]> => {
    if (asking >= LOOKUPS_AT_ONCE) await new Promise<void>((resolve) => line.push(resolve));
    else asking += 1;
    try {
      return await lookup(host);
    } finally {
      const next = line.shift();
      if (next) next();
      else asking -= 1;
    }
  };

  return async (host) => {
    // Nobody outside runs the name server of such a name, and DNS would be asked for it without the search domains.
    if (!host.includes('.')) return askInTurn(host);
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (found.length > 0) return found;
    const silent = answers.find((answer) => answer.status === 'rejected' && codeOf(answer.reason) === 'ETIMEOUT');
    if (silent?.status === 'rejected') throw silent.reason;
    return askInTurn(host);
  };
}

async function askHost(host: string): Promise<readonly string[]> {
  const found = await lookupOnHost(host, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
