import { createHash } from 'node:crypto';
import { EbbError } from '../../core/errors.ts';
import { ask } from './dial.ts';
import { type DockerClient, daemonWords, statusOf } from './docker-client.ts';
import { INSTALLATION_LABEL } from './instance-labels.ts';

/**
 * A bridge of an installation: `open` leads to public addresses, `closed` nowhere. The closed one is for images that
 * asked for no network: the gateway has to reach them over one.
 */
export interface InstanceNetwork {
  readonly kind: 'open' | 'closed';
  readonly installation: string;
  readonly network: string;
  /** The bridge's interface on the host; at most 15 characters. */
  readonly bridge: string;
}

/** Starts the names of all bridges, so that rests of dead installations are known. */
export const BRIDGE_PREFIX = 'ebb';

/** The names of an installation's network, whether it exists or not. */
export function instanceNetwork(installation: string, kind: InstanceNetwork['kind']): InstanceNetwork {
  const tag = createHash('sha256').update(installation).digest('hex').slice(0, 10);
  return {
    kind,
    installation,
    network: kind === 'open' ? `ebb-${installation}` : `ebb-${installation}-closed`,
    bridge: `${BRIDGE_PREFIX}${kind === 'open' ? '0' : '1'}${tag}`,
  };
}

/**
 * Makes a bridge if it is not there: no traffic between its containers, no IPv6. Throws ENGINE_FAILED, with what to
 * do when the daemon has no address range left.
 */
export async function ensureNetwork(client: DockerClient, names: InstanceNetwork, signal?: AbortSignal): Promise<void> {
  if (await networkExists(client, names.network, signal)) return;
  try {
    await client.call(
      `create the network "${names.network}"`,
      client.deadlines.changeMs,
      (abortSignal) =>
        client.docker.createNetwork({
          Name: names.network,
          Driver: 'bridge',
          CheckDuplicate: true,
          EnableIPv6: false,
          // No default route: nothing but the host is even addressable.
          Internal: names.kind === 'closed',
          Labels: { [INSTALLATION_LABEL]: names.installation },
          Options: {
            'com.docker.network.bridge.name': names.bridge,
            'com.docker.network.bridge.enable_icc': 'false',
            'com.docker.network.bridge.enable_ip_masquerade': 'true',
          },
          abortSignal,
        }),
      signal,
    );
  } catch (error) {
    // The answer may have been lost, or another call have been faster.
    if (await networkExists(client, names.network, signal).catch(() => false)) return;
    if (/non-overlapping|address pool/i.test(daemonWords(error))) {
      throw new EbbError(
        'ENGINE_FAILED',
        'Docker has no address range left for the network of functions; remove unused networks with "docker network prune" or widen "default-address-pools" in daemon.json',
        { cause: error },
      );
    }
    throw error;
  }
}

/** Removes a network if no container is left on it; returns whether it is gone. */
export async function removeNetwork(client: DockerClient, { network }: InstanceNetwork): Promise<boolean> {
  try {
    await client.call(`remove the network "${network}"`, client.deadlines.changeMs, (abortSignal) =>
      client.docker.getNetwork(network).remove({ abortSignal }),
    );
    return true;
  } catch (error) {
    return statusOf(error) === 404;
  }
}

/** Whether the daemon has a network of that name. Throws ENGINE_ errors. */
export async function networkExists(client: DockerClient, name: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await client.call(
      `look for the network "${name}"`,
      client.deadlines.queryMs,
      (abortSignal) => ask(client.docker, `/networks/${name}`, abortSignal),
      signal,
    );
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}
