import type Dockerode from 'dockerode';
import { asEbbError, EbbError } from '../../core/errors.ts';
import { newShortId } from '../../core/ids.ts';
import type { Logger } from '../../core/logger.ts';
import type { DockerClient } from './docker-client.ts';
import { HOLDER_PROGRAM } from './holder-image.ts';
import { HOLDER_LABEL, INSTALLATION_LABEL } from './instance-labels.ts';
import { inspectContainer, removeContainer } from './stop-container.ts';

/** Time between two looks at whether a namespace is to be made. */
const PACE_MS = 250;
/** Longest pause after namespaces could not be made. */
const LONGEST_PAUSE_MS = 60_000;
const NOBODY = '65534:65534';
/** A bound, not a need: what sets the container up runs within it for a moment. */
const MEMORY_BYTES = 32 * 2 ** 20;

/** A network namespace that is ready for an instance. */
export interface PreparedNetwork {
  /** Id of the container that keeps it alive. */
  readonly holder: string;
  /** Address that an instance in it has. */
  readonly address: string;
}

/** What {@link createPreparedNetworks} needs. */
export interface PreparedNetworksOptions {
  readonly client: DockerClient;
  readonly installation: string;
  readonly logger: Logger;
  /** How many are kept ready; 0 for none. */
  readonly size: number;
  /** The network they are on with its packet rules in force, and the image of holders; undefined when there is none. */
  readonly prepared: () => Promise<{ readonly network: string; readonly image: string } | undefined>;
  /** Whether instances are being started, which making a namespace would slow down. */
  readonly isBusy: () => boolean;
}

/** A small stock of network namespaces, each of them for one instance and thrown away with it. */
export interface PreparedNetworks extends AsyncDisposable {
  /** Has the stock filled up from now on: there is somebody who will need it. */
  want(): void;
  /** Takes one out of the stock for good; undefined when none is ready. Nobody else ever gets it. */
  take(): PreparedNetwork | undefined;
  /**
   * One that instances may follow each other in: of the stock, or made now. It is the caller's until it is discarded.
   * Undefined where none can be made. Throws ENGINE_ errors.
   */
  borrow(): Promise<PreparedNetwork | undefined>;
  /** Throws a namespace away whose instance is gone, or never came to be. Never throws. */
  discard(holder: string): Promise<void>;
  /** The holders of those that are ready now. */
  stock(): readonly string[];
  /**
   * Compares what is known with all containers of the installation: forgets of `stock`, as it was when they were asked
   * for, what is gone, and removes rests of a server that was killed. Never throws.
   */
  reap(containers: readonly Dockerode.ContainerInfo[], stock: readonly string[]): Promise<void>;
}

/**
 * Joining a namespace that is there spares a start the daemon's slowest part, which is making one. A holder, a
 * container with a program of 129 bytes, keeps it alive. Holders are made one at a time while nothing else is
 * started, are on the same bridge under the same packet rules as every instance, and are never used twice.
 */
export function createPreparedNetworks(options: PreparedNetworksOptions): PreparedNetworks {
  const { client, installation, logger } = options;
  const { docker, deadlines } = client;
  const ready: PreparedNetwork[] = [];
  /** Names of those being made, and ids of those there are; whatever else carries the label is a rest. */
  const known = new Set<string>();
  /** Ids of holders that instances follow each other in; none of these may be there at the moment. */
  const borrowed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let filling: Promise<void> | undefined;
  let failures = 0;
  let isClosed = false;

  const schedule = () => {
    if (isClosed || timer || filling || ready.length >= options.size) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        filling = fill().finally(() => {
          filling = undefined;
          schedule();
        });
      },
      Math.min(PACE_MS * 2 ** failures, LONGEST_PAUSE_MS),
    ).unref();
  };

  async function fill(): Promise<void> {
    if (options.isBusy()) return;
    const name = `ebb-${installation}_net-${newShortId()}`;
    known.add(name);
    try {
      const base = await options.prepared();
      if (!base) {
        isClosed = true;
        return;
      }
      const made = await make(name, base);
      known.add(made.holder);
      if (isClosed) await discard(made.holder);
      else {
        ready.push(made);
        logger.debug({ holder: made.holder }, 'a network namespace is ready');
      }
      failures = 0;
    } catch (error) {
      failures += 1;
      logger.warn({ err: asEbbError(error) }, 'a network namespace could not be prepared; starts take longer without');
      await removeContainer(client, docker.getContainer(name)).catch(() => {});
    } finally {
      known.delete(name);
    }
  }

  async function make(name: string, base: { network: string; image: string }): Promise<PreparedNetwork> {
    const container = await client.call('create a network holder', deadlines.changeMs, (abortSignal) =>
      docker.createContainer({ ...holderConfig(name, installation, base), abortSignal }),
    );
    await client.call('start a network holder', deadlines.startMs, (abortSignal) => container.start({ abortSignal }));
    const info = await inspectContainer(client, container);
    const address = info?.NetworkSettings.Networks[base.network]?.IPAddress;
    if (!info?.State.Running || !address) throw new EbbError('ENGINE_FAILED', 'a network holder does not run');
    return { holder: info.Id, address };
  }

  async function makeNow(): Promise<PreparedNetwork | undefined> {
    const base = isClosed ? undefined : await options.prepared();
    if (!base) return undefined;
    const name = `ebb-${installation}_net-${newShortId()}`;
    known.add(name);
    try {
      const made = await make(name, base);
      borrowed.add(made.holder);
      return made;
    } catch (error) {
      await removeContainer(client, docker.getContainer(name)).catch(() => {});
      throw error;
    } finally {
      known.delete(name);
    }
  }

  async function discard(holder: string): Promise<void> {
    try {
      const container = docker.getContainer(holder);
      const labels = (await inspectContainer(client, container))?.Config.Labels;
      if (labels && isHolder(labels, installation)) await removeContainer(client, container);
      known.delete(holder);
      borrowed.delete(holder);
    } catch (error) {
      borrowed.delete(holder);
      // It is found by its label and tried again.
      known.delete(holder);
      logger.warn({ err: asEbbError(error) }, 'a network namespace that is not needed could not be removed yet');
    }
  }

  return {
    want: () => schedule(),
    take() {
      const taken = ready.shift();
      schedule();
      return taken;
    },
    async borrow() {
      const taken = ready.shift() ?? (await makeNow());
      if (taken) borrowed.add(taken.holder);
      return taken;
    },
    discard,
    stock: () => ready.map(({ holder }) => holder),
    async reap(containers, stock) {
      const running = new Set(containers.filter(({ State }) => State === 'running').map(({ Id }) => Id));
      for (const gone of stock.filter((holder) => !running.has(holder))) {
        const index = ready.findIndex(({ holder }) => holder === gone);
        if (index === -1) continue;
        ready.splice(index, 1);
        known.delete(gone);
        schedule();
      }
      const used = new Set(containers.map(({ Labels }) => Labels[HOLDER_LABEL]));
      // From here on the instance's label leads to it; when somebody removes that instance, it is a rest.
      for (const holder of used) if (holder !== undefined) known.delete(holder);
      const rests = containers.filter(
        ({ Id, Names, Labels }) =>
          isHolder(Labels, installation) &&
          !used.has(Id) &&
          !known.has(Id) &&
          !borrowed.has(Id) &&
          !Names.some((name) => known.has(name.slice(1))),
      );
      for (const { Id } of rests) await discard(Id);
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      clearTimeout(timer);
      await filling;
      await Promise.all([...ready.splice(0).map(({ holder }) => holder), ...borrowed].map((holder) => discard(holder)));
    },
  };
}

/** Holders name themselves where instances name their holder. */
const SELF = 'self';

function isHolder(labels: Readonly<Record<string, string>>, installation: string): boolean {
  return labels[INSTALLATION_LABEL] === installation && labels[HOLDER_LABEL] === SELF;
}

/** The settings of a holder: nothing of a user's is in them. */
function holderConfig(
  name: string,
  installation: string,
  base: { readonly network: string; readonly image: string },
): Dockerode.ContainerCreateOptions {
  return {
    name,
    Image: base.image,
    Entrypoint: [HOLDER_PROGRAM],
    User: NOBODY,
    Labels: { [INSTALLATION_LABEL]: installation, [HOLDER_LABEL]: SELF },
    Healthcheck: { Test: ['NONE'] },
    StopSignal: 'SIGKILL',
    HostConfig: {
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      Memory: MEMORY_BYTES,
      MemorySwap: MEMORY_BYTES,
      PidsLimit: 16,
      IpcMode: 'none',
      NetworkMode: base.network,
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
    },
  };
}
