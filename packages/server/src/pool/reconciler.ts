import type { VersionKey } from '@ebb/contract';
import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import type { Engine, Instance } from '../engines/engine.ts';
import { decideReconcile } from './decide-reconcile.ts';
import type { ExitWatch } from './exit-watch.ts';

/** How often the engine's list is compared with ours even without a hint. */
const RECONCILE_EVERY_MS = 10_000;
/** Time a foreign or orphaned instance gets to end by itself. */
const REAP_GRACE_MS = 1_000;

/** What a {@link Reconciler} is made with. */
export interface ReconcilerOptions {
  readonly engine: Engine;
  readonly exits: ExitWatch;
  readonly generation: string;
  readonly logger: Logger;
  /** The version of that key, if it serves. */
  readonly serving: (key: VersionKey) => Version | undefined;
  /** Whether an instance is in a pool of a version. */
  readonly isPooled: (instanceId: string) => boolean;
  /** Whether an instance is a spare that waits. */
  readonly isSpare: (instanceId: string) => boolean;
  /** Takes over an instance of an earlier server; false when it does not answer. */
  readonly adopt: (version: Version, instance: Instance) => Promise<boolean>;
  /** Instances that belong to a server which this one replaces, as long as it runs; undefined when it does not answer. */
  readonly heldElsewhere?: (() => Promise<ReadonlySet<string> | undefined>) | undefined;
}

/** Brings what the engine runs and what the server knows of together, on hints and every ten seconds (E1). */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #hints: Promise<void> | undefined;
  #reconciling: Promise<void> | undefined;
  #isPaused = false;
  #isWanted = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Follows the engine until {@link close}; resolves when it was looked through once. Never throws. */
  async start(): Promise<void> {
    this.#hints = this.#listen();
    this.#timer = setInterval(() => void this.#reconcileQuietly(), RECONCILE_EVERY_MS).unref();
    await this.#reconcileQuietly();
  }

  /** Compares the engine's list with ours and puts right what differs (E1). Runs once at a time. */
  reconcile(): Promise<void> {
    this.#reconciling ??= this.#reconcile().finally(() => {
      this.#reconciling = undefined;
      if (this.#isWanted) this.want();
    });
    return this.#reconciling;
  }

  /** Compares soon: now, or once more after a comparison under way, which may have missed what is meant. */
  want(): void {
    this.#isWanted = this.#reconciling !== undefined;
    if (!this.#isWanted) void this.#reconcileQuietly();
  }

  /** Follows on, but puts nothing right any more: another server does. Resolves when a comparison under way is over. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#reconciling?.catch(() => {});
  }

  /** Puts right again what differs. */
  resume(): void {
    this.#isPaused = false;
    void this.#reconcileQuietly();
  }

  /** Follows no more; resolves when a comparison under way is over. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await this.#hints;
    await this.#reconciling?.catch(() => {});
  }

  async #listen(): Promise<void> {
    for await (const event of this.#options.engine.events(this.#stopping.signal)) {
      if (event.id === undefined) void this.#reconcileQuietly();
      else this.#options.exits.notify(event.id, event.exit ?? { outOfMemory: false });
    }
  }

  async #reconcileQuietly(): Promise<void> {
    try {
      await this.reconcile();
    } catch (error) {
      this.#options.logger.warn(
        { err: asEbbError(error) },
        'the engine could not be looked through; it is tried again',
      );
    }
  }

  async #reconcile(): Promise<void> {
    const { engine, exits, generation, logger, serving, isPooled, isSpare, adopt } = this.#options;
    // What is being made now may be missing in the list and in service before it is compared.
    const expected = new Set(exits.ids().filter((id) => isPooled(id) || isSpare(id)));
    if (this.#isPaused) return;
    const instances = await this.#list();
    if (this.#isPaused) return;
    const actions = decideReconcile(instances, {
      generation,
      known: (id) => exits.watches(id) || isPooled(id),
      serving: (key) => serving(key) !== undefined,
    });
    this.#noticeExits(expected, instances);
    await Promise.all(
      actions.map(async (action) => {
        try {
          if (action.kind === 'stop') {
            logger.info({ instance: action.id }, `an instance is removed: ${action.reason}`);
            await engine.stop(action.id, { graceMs: REAP_GRACE_MS });
            return;
          }
          const version = serving(action.key);
          if (version && (await adopt(version, action.instance))) {
            logger.info({ instance: action.instance.id }, 'an instance of the last run was adopted');
          }
        } catch (error) {
          logger.warn({ err: asEbbError(error) }, 'an instance could not be adopted or removed; it is tried again');
        }
      }),
    );
  }

  /** What the engine runs and no other server has. */
  async #list(): Promise<readonly Instance[]> {
    const { engine, heldElsewhere } = this.#options;
    const instances = await engine.list();
    // Asked after the list, so that nothing is in the list that the other server has only begun to make since.
    if (!heldElsewhere) return instances;
    const held = await heldElsewhere();
    const isTheirs = (instance: Instance) => (held ? held.has(instance.id) : this.#mayBeTheirs(instance));
    for (const instance of instances) if (isTheirs(instance)) engine.release(instance.id);
    return instances.filter((instance) => !isTheirs(instance));
  }

  /** Without an answer of the other server nothing is decided about what it may have (S1). */
  #mayBeTheirs({ id, labels }: Instance): boolean {
    const { exits, generation, isPooled } = this.#options;
    return labels.generation !== generation && !exits.watches(id) && !isPooled(id);
  }

  /** A watched instance that has exited is gone, and so is a member that was watched before and is not listed. */
  #noticeExits(expected: ReadonlySet<string>, instances: readonly Instance[]): void {
    const byId = new Map(instances.map((instance) => [instance.id, instance]));
    const { exits, isPooled, isSpare } = this.#options;
    for (const id of expected) {
      const found = byId.get(id);
      if (found ? found.state === 'exited' : isSpare(id) || isPooled(id)) {
        exits.notify(id, found?.exit ?? { outOfMemory: false });
      }
    }
  }
}
