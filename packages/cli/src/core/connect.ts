import type { CommandContext, Connection } from './command.ts';
import { discoverServer, type ServerAddress } from './discover-server.ts';
import type { Parameters } from './parameters.ts';

/** Finds the server of one run of `ebb`, and explains errors that have to do with where it was looked for. */
export interface Connector {
  readonly connect: CommandContext['connect'];
  /** The same error, with where the address came from and what to do added when the server did not answer. */
  readonly explain: (error: unknown) => unknown;
}

/** Makes the connector; nothing is looked up before it is asked. */
export function createConnector(inputs: {
  readonly parameters: Parameters;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}): Connector {
  const { parameters, env, cwd } = inputs;
  let address: ServerAddress | undefined;
  return {
    async connect({ again = false } = {}) {
      if (again) address = undefined;
      address ??= await discoverServer({
        url: parameters.text('url'),
        token: parameters.text('token'),
        dataDir: parameters.text('dataDir'),
        env,
        cwd,
      });
      return connectTo(address);
    },
    explain(error) {
      if (!address || !(error instanceof Error)) return error;
      if (error.name === 'EbbUnreachableError') {
        const advice = address.source.endsWith('.json') ? '; start the server with "ebb up"' : '; is it running?';
        error.message += `${advice} (the address is from ${address.source})`;
      }
      if ('code' in error && error.code === 'UNAUTHENTICATED' && address.token === undefined) {
        error.message = `${address.url} wants a token: use --token, EBB_TOKEN or "ebb login"`;
      }
      return error;
    },
  };
}

/** A connection to a known server; `fetching` as for {@link createHttpFetch}. */
export async function connectTo(
  address: Pick<ServerAddress, 'url' | 'token'>,
  fetching: { readonly keepAlive?: boolean } = {},
): Promise<Connection> {
  const [{ createEbbClient }, { createHttpFetch }] = await Promise.all([import('@ebb/sdk'), import('./http-fetch.ts')]);
  const client = createEbbClient({ url: address.url, token: address.token, fetch: createHttpFetch(fetching) });
  return { client, url: client.url, hasToken: address.token !== undefined };
}
