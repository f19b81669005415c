import type Dockerode from 'dockerode';
import { EbbError } from '../../core/errors.ts';
import { type CgroupFreezer, findCgroupFreezer } from './cgroup-freezer.ts';
import type { DockerClient } from './docker-client.ts';
import { inspectContainer, tolerate } from './stop-container.ts';

/** What {@link createContainerFreezer} needs. */
export interface ContainerFreezerOptions {
  readonly client: DockerClient;
  readonly containerOf: (id: string) => Dockerode.Container;
  /** `engine` never touches control groups. */
  readonly freezeBy: 'cgroup' | 'engine';
}

/** Freezes and thaws the containers of instances, past the daemon where the host allows it. */
export interface ContainerFreezer {
  /** Says that an instance was just made, and so runs. */
  born(id: string): void;
  /** Throws ENGINE_ errors, also when there is no such instance or it is being stopped. */
  freeze(id: string): Promise<void>;
  thaw(id: string): Promise<void>;
  /** Whether a container that the daemon takes for running stands still. */
  isFrozen(id: string): Promise<boolean>;
  /** Keeps an instance from being frozen while it is stopped; the object ends that. Waits for what is under way. */
  hold(id: string): Promise<Disposable>;
}

/** How the container of an instance is frozen; `cgroup` is absent where that goes through the daemon. */
interface Way {
  readonly cgroup?: CgroupFreezer;
}

/**
 * Writing to the control group takes a tenth of a millisecond and works while the daemon is busy; pausing through the
 * daemon takes about eleven. The daemon does not notice the former, so its list is not the truth about it.
 */
export function createContainerFreezer({ client, containerOf, freezeBy }: ContainerFreezerOptions): ContainerFreezer {
  const ways = new Map<string, Way | 'unknown'>();
  const held = new Set<string>();
  const underWay = new Map<string, Promise<void>>();

  async function look(id: string): Promise<{ readonly way: Way; readonly isPaused: boolean }> {
    const info = await inspectContainer(client, containerOf(id));
    if (!info?.State.Running) throw new EbbError('ENGINE_FAILED', `there is no running instance "${id}"`);
    const isPaused = info.State.Paused;
    const cgroup =
      freezeBy === 'cgroup' && !isPaused ? findCgroupFreezer({ id: info.Id, pid: info.State.Pid }) : undefined;
    const way = cgroup ? { cgroup } : {};
    ways.set(id, way);
    return { way, isPaused };
  }

  const known = (id: string): Way | undefined => {
    const way = ways.get(id);
    return way === 'unknown' ? undefined : way;
  };

  async function change(id: string, kind: 'freeze' | 'thaw'): Promise<void> {
    const way = known(id);
    const looked = way ? undefined : await look(id);
    const cgroup = (way ?? looked?.way)?.cgroup;
    try {
      if (cgroup) await cgroup[kind]();
      else if (looked?.isPaused !== (kind === 'freeze')) {
        await tolerate(
          [409],
          client.call(`${kind} "${id}"`, client.deadlines.changeMs, (abortSignal) =>
            kind === 'freeze' ? containerOf(id).pause({ abortSignal }) : containerOf(id).unpause({ abortSignal }),
          ),
        );
        // Thawed by the daemon, it may be frozen past it the next time.
        if (kind === 'thaw') ways.delete(id);
      }
    } catch (error) {
      ways.delete(id);
      throw error;
    }
  }

  /** One change of an instance after the other. */
  function inTurn(id: string, work: () => Promise<void>): Promise<void> {
    const before = underWay.get(id);
    const mine = (before ? before.catch(() => {}).then(work) : work()).finally(() => {
      if (underWay.get(id) === mine) underWay.delete(id);
    });
    underWay.set(id, mine);
    return mine;
  }

  return {
    born: (id) => void ways.set(id, 'unknown'),
    freeze: (id) =>
      inTurn(id, async () => {
        if (held.has(id)) throw new EbbError('ENGINE_FAILED', `the instance "${id}" is being stopped`);
        await change(id, 'freeze');
      }),
    thaw: (id) => inTurn(id, () => change(id, 'thaw')),
    async isFrozen(id) {
      if (ways.get(id) === 'unknown') return false;
      const way = known(id) ?? (await look(id).catch(() => undefined))?.way;
      return way?.cgroup?.isFrozen() ?? false;
    },
    async hold(id) {
      held.add(id);
      await underWay.get(id)?.catch(() => {});
      return {
        [Symbol.dispose]() {
          held.delete(id);
          ways.delete(id);
        },
      };
    },
  };
}
