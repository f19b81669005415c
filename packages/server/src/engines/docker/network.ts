import { EbbError } from '../../core/errors.ts';
import { installationTag } from './build-firewall.ts';
import { ask } from './dial.ts';
import { type DockerClient, daemonWords, statusOf } from './docker-client.ts';
import { INSTALLATION_LABEL } from './instance-labels.ts';

/** Names of an installation's network. */
export interface NetworkNames {
  readonly network: string;
  /** The bridge's interface on the host; at most 15 characters. */
  readonly bridge: string;
}

/** The names of an installation's network, whether it exists or not. */
export function networkNames(installation: string): NetworkNames {
  return { network: `ebb-${installation}`, bridge: `ebb${installationTag(installation)}` };
}

/**
 * Makes the one bridge of an installation if it is not there: no traffic between its containers, no IPv6. Throws
 * ENGINE_FAILED, with what to do when the daemon has no address range left.
 */
export async function ensureNetwork(client: DockerClient, installation: string, signal?: AbortSignal): Promise<void> {
  const names = networkNames(installation);
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
          Labels: { [INSTALLATION_LABEL]: installation },
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

/** Removes an installation's network if no container is left on it; returns whether it is gone. */
export async function removeNetwork(client: DockerClient, installation: string): Promise<boolean> {
  const { network } = networkNames(installation);
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
