import { HEALTH_PATH } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, type EbbError } from '../core/errors.ts';
import { newShortId } from '../core/ids.ts';
import type { Logger } from '../core/logger.ts';
import { awaitReady } from '../engines/await-ready.ts';
import type { Engine, Instance, InstanceExit, InstanceLimits } from '../engines/engine.ts';
import { decideRefill } from './decide-refill.ts';
import { shapeKey, type SpareShape } from './decide-spare-shape.ts';
import type { ExitWatch } from './exit-watch.ts';
import type { StartBudget } from './start-budget.ts';

/** A spare is made this long after the last start at the earliest: that start has the machine to itself. */
const AFTER_START_MS = 150;
/** How often it is looked whether the machine is free, and how long starts may keep spares from being made. */
const LOOK_EVERY_MS = 25;
const YIELD_AT_MOST_MS = 3_000;
/** Longest time from create to ready; a runtime without code needs a fraction of a second. */
const READY_MS = 30_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
/** Limits until a version's own are in force. */
const SPARE_CPU_CORES = 1;
const SPARE_PIDS = 256;

/** What a {@link WarmPool} is made with. */
export interface WarmPoolOptions {
  readonly engine: Engine;
  readonly exits: ExitWatch;
  readonly budget: StartBudget;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly installation: string;
  readonly generation: string;
  /** Spares kept of each shape; 0 keeps none. */
  readonly size: number;
  /** The shape that is kept even if nobody asked for it. */
  readonly usual: SpareShape;
  /** Most instances and spares on this host. */
  readonly maxInstances: number;
  /** Instances there are or will be, spares not counted. */
  readonly instances: () => number;
}

/** A spare that was taken: whoever has it specialises or stops it. */
export interface TakenSpare {
  readonly instance: Instance;
  /** Resolves when it ended; watched by the {@link ExitWatch} all along. */
  readonly exited: Promise<InstanceExit>;
}

interface Shelf {
  readonly shape: SpareShape;
  readonly ready: TakenSpare[];
  askedAtMs: number;
}

/**
 * Instances of the runtimes without code, ready before anybody asks. They are made one at a time, when no start of a
 * version wants the machine, and count against the host's bound on instances, where versions come first.
 */
export class WarmPool implements AsyncDisposable {
  #options: WarmPoolOptions;
  readonly #shelves = new Map<string, Shelf>();
  #closing = new AbortController();
  #isClosed = false;
  readonly #stops = new Set<Promise<void>>();
  #filling: Promise<void> | undefined;
  #lastStartMs = -Infinity;
  #failures = 0;
  #isOff: boolean;

  constructor(options: WarmPoolOptions) {
    this.#options = options;
    const { engine, usual } = options;
    this.#isOff = options.size === 0 || !engine.capabilities.spares;
    if (!this.#isOff) this.#shelves.set(shapeKey(usual), { shape: usual, ready: [], askedAtMs: Infinity });
  }

  /** Begins to make spares, and goes on until {@link close}. */
  start(): void {
    this.#fill();
  }

  /** Sets anew how many spares are kept and how many instances there may be; gives up and makes what follows from it. */
  rebound(bounds: Pick<WarmPoolOptions, 'size' | 'maxInstances'>): void {
    this.#options = { ...this.#options, ...bounds };
    const { engine, usual } = this.#options;
    if (this.#closing.signal.aborted || !engine.capabilities.spares) return;
    if (this.#isOff && bounds.size > 0) {
      this.#isOff = false;
      this.#shelves.set(shapeKey(usual), { shape: usual, ready: [], askedAtMs: Infinity });
    }
    this.#next();
    this.#fill();
  }

  /** Whether there are never spares, because the settings or the host say so. */
  get isOff(): boolean {
    return this.#isOff;
  }

  /** Spares that may be taken now, of all shapes. */
  get ready(): number {
    let count = 0;
    for (const { ready } of this.#shelves.values()) count += ready.length;
    return count;
  }

  /** Whether an instance is a spare that waits. */
  has(id: string): boolean {
    return [...this.#shelves.values()].some(({ ready }) => ready.some(({ instance }) => instance.id === id));
  }

  /** A spare of the shape if one is ready; the shape is kept ready from now on either way. */
  take(shape: SpareShape): TakenSpare | undefined {
    this.#lastStartMs = this.#options.clock.monotonic();
    if (this.#isOff) return undefined;
    const shelf = this.#shelfOf(shape);
    const taken = shelf.ready.shift();
    if (taken) this.#failures = 0;
    // Versions come first: what the host has no more room for goes now.
    else this.#next();
    this.#fill();
    return taken;
  }

  /** Gives up what the host has no room for beside a start that needs no spare: versions come first. */
  makeRoom(): void {
    this.#lastStartMs = this.#options.clock.monotonic();
    this.#next();
  }

  /** Stops every spare and makes no more; resolves when all have ended. Idempotent. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.pause();
  }

  /** As {@link close}, until {@link resume}. */
  async pause(): Promise<void> {
    this.#isOff = true;
    this.#closing.abort();
    await this.#filling;
    for (const { ready } of this.#shelves.values()) for (const spare of ready.splice(0)) this.#stop(spare.instance.id);
    while (this.#stops.size > 0) await Promise.all(this.#stops);
  }

  /** Makes spares again after {@link pause}, once those from before have ended. Does nothing when it is closed. */
  async resume(): Promise<void> {
    await this.pause();
    if (this.#isClosed) return;
    this.#closing = new AbortController();
    this.rebound(this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #shelfOf(shape: SpareShape): Shelf {
    const key = shapeKey(shape);
    const nowMs = this.#options.clock.monotonic();
    const shelf = this.#shelves.get(key) ?? { shape, ready: [], askedAtMs: nowMs };
    if (shelf.askedAtMs < nowMs) shelf.askedAtMs = nowMs;
    this.#shelves.set(key, shelf);
    return shelf;
  }

  #fill(): void {
    if (this.#isOff) return;
    this.#filling ??= this.#fillUp().finally(() => {
      this.#filling = undefined;
      // What was taken in the last moment of that run.
      if (this.#next() !== undefined) this.#fill();
    });
  }

  async #fillUp(): Promise<void> {
    for (;;) {
      await this.#untilQuiet();
      const key = this.#next();
      const shelf = key === undefined ? undefined : this.#shelves.get(key);
      if (!shelf) return;
      try {
        await this.#refill(shelf);
      } catch (error) {
        this.#failed(asEbbError(error));
      }
    }
  }

  /** Gives up what is too much, and says of which shape one is to be made. */
  #next(): string | undefined {
    if (this.#isOff) return undefined;
    const { maxInstances, size, clock } = this.#options;
    const nowMs = clock.monotonic();
    const shapes = [...this.#shelves].map(([key, { ready, askedAtMs }]) => ({ key, ready: ready.length, askedAtMs }));
    const decision = decideRefill(shapes, { size, room: maxInstances - this.#options.instances(), nowMs });
    for (const key of decision.giveUp) {
      const shelf = this.#shelves.get(key);
      const spare = shelf?.ready.pop();
      if (spare) this.#stop(spare.instance.id);
      if (shelf?.ready.length === 0 && shelf.askedAtMs !== Infinity) this.#shelves.delete(key);
    }
    return decision.make;
  }

  /**
   * Makes a spare for whoever asks, who has a permit to start something. Throws what {@link Engine.createSpare} throws,
   * START_FAILED, or the signal's reason; then nothing of it is left.
   */
  async make(shape: SpareShape, signal?: AbortSignal): Promise<TakenSpare> {
    const { engine, exits, installation, generation } = this.#options;
    const { runtime, network, readOnlyRootFilesystem } = shape;
    const id = `spare-${newShortId()}`;
    const exited = exits.watch(id);
    const ends = [this.#closing.signal, AbortSignal.timeout(READY_MS), ...(signal ? [signal] : [])];
    const either = AbortSignal.any(ends);
    try {
      const labels = { installation, generation };
      const limits = limitsOf(shape);
      const wanted = { id, labels, runtime, limits, network, readOnlyRootFilesystem };
      const instance = await engine.createSpare(wanted, either);
      // Its first answer loads what a server needs to answer at all.
      await awaitReady(instance.target, { signal: either, exited, healthPath: HEALTH_PATH });
      return { instance, exited };
    } catch (error) {
      this.#stop(id);
      throw error;
    }
  }

  async #refill({ shape, ready }: Shelf): Promise<void> {
    using _permit = await this.#options.budget.acquire();
    const spare = await this.make(shape);
    ready.push(spare);
    void spare.exited.then(() => this.#lost(ready, spare));
  }

  /** A spare that ended while it was waiting is made anew; one that was taken is its taker's matter. */
  #lost(ready: TakenSpare[], spare: TakenSpare): void {
    const index = ready.indexOf(spare);
    if (index === -1) return;
    ready.splice(index, 1);
    this.#failures += 1;
    this.#stop(spare.instance.id);
    this.#fill();
  }

  #stop(id: string): void {
    const { engine, exits, logger } = this.#options;
    exits.forget(id);
    const stop = engine
      .stop(id, { graceMs: 0 })
      .catch((error: unknown) => {
        // The next comparison with the engine finds it and stops it.
        logger.warn({ instance: id, err: asEbbError(error) }, 'a spare instance could not be stopped yet');
      })
      .finally(() => this.#stops.delete(stop));
    this.#stops.add(stop);
  }

  #failed(error: EbbError): void {
    if (this.#closing.signal.aborted) return;
    const { logger } = this.#options;
    this.#failures += 1;
    if (error.code === 'UNSUPPORTED_BY_ENGINE') {
      this.#isOff = true;
      logger.info({ reason: error.message }, 'no instances are kept ready: every start makes one from scratch');
      return;
    }
    logger.warn({ code: error.code, err: error }, 'a spare instance could not be made; it is tried again');
  }

  /** Waits until no start wants the machine, and longer after failures. */
  async #untilQuiet(): Promise<void> {
    const { budget, clock } = this.#options;
    const beganMs = clock.monotonic();
    const pauseMs =
      this.#failures === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(16, this.#failures - 1));
    while (!this.#closing.signal.aborted) {
      const nowMs = clock.monotonic();
      const isQuiet = budget.isFree && nowMs - this.#lastStartMs >= AFTER_START_MS;
      if (nowMs - beganMs >= pauseMs && (isQuiet || nowMs - beganMs >= pauseMs + YIELD_AT_MOST_MS)) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

function limitsOf({ memoryBytes, tmpBytes }: SpareShape): InstanceLimits {
  return { memoryBytes, tmpBytes, cpuCores: SPARE_CPU_CORES, pids: SPARE_PIDS };
}
