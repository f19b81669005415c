import { decideEviction, type EvictionCandidate } from './decide-eviction.ts';
import type { FrozenInstance } from './freezer.ts';
import type { Standby } from './standby.ts';

/** The part of a pool that the {@link IdleKeeper} works on. */
export interface IdlePool {
  readonly size: number;
  readonly starting: number;
  /** Instances that can serve; what is neither that nor starting is on its way out. */
  readonly ready: number;
  /** Requests that wait for an instance. */
  readonly waiting: number;
  /** Freezes whatever was idle for long enough. */
  freezeIdle(): void;
  /** The frozen instances, and whether each may be stopped. */
  frozen(): readonly (FrozenInstance & { readonly isSpare: boolean })[];
  /** Stops a frozen instance. */
  evict(id: string): void;
  /** The instances it keeps without work. */
  readonly standby: Pick<Standby, 'lacking' | 'start' | 'idle' | 'giveUp'>;
}

/** What an {@link IdleKeeper} is made with. */
export interface IdleKeeperOptions {
  readonly all: () => Iterable<IdlePool>;
  /** Time between two looks, in milliseconds. */
  readonly everyMs: number;
  /** Most memory that frozen instances may take together. */
  readonly maxFrozenBytes: number;
  /** Most instances on this host. */
  readonly maxInstances: number;
}

/**
 * Looks after what has no work: freezes it after a while, stops the least valuable of it when frozen instances take
 * too much memory, and fills standbys up, one instance a look and only while nobody waits and nothing else starts.
 */
export class IdleKeeper implements Disposable {
  #options: IdleKeeperOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: IdleKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), this.#options.everyMs).unref();
  }

  /** Sets the bounds of the host anew. */
  rebound(bounds: Pick<IdleKeeperOptions, 'maxFrozenBytes' | 'maxInstances'>): void {
    this.#options = { ...this.#options, ...bounds };
  }

  /** Looks once. */
  look(): void {
    // Most functions of a large installation are at zero.
    const pools = [...this.#options.all()].filter(
      ({ size, waiting, standby }) => size > 0 || waiting > 0 || standby.lacking > 0,
    );
    for (const pool of pools) pool.freezeIdle();
    const usedBytes = this.#evict(pools);
    this.#balanceStandby(pools, usedBytes);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Returns what frozen instances take afterwards. */
  #evict(pools: readonly IdlePool[]): number {
    let usedBytes = 0;
    const candidates: (EvictionCandidate & { readonly pool: IdlePool })[] = [];
    for (const pool of pools) {
      for (const { isSpare, ...frozen } of pool.frozen()) {
        usedBytes += frozen.memoryBytes;
        if (isSpare) candidates.push({ ...frozen, pool });
      }
    }
    for (const victim of decideEviction(candidates, { usedBytes, maxBytes: this.#options.maxFrozenBytes })) {
      victim.pool.evict(victim.id);
      usedBytes -= victim.memoryBytes;
    }
    return usedBytes;
  }

  /** Standbys take what is left over, and give it back one by one. */
  #balanceStandby(pools: readonly IdlePool[], frozenBytes: number): void {
    let [size, leaving, starting, waiting] = [0, 0, 0, 0];
    for (const pool of pools) {
      size += pool.size;
      starting += pool.starting;
      leaving += pool.size - pool.ready - pool.starting;
      waiting += pool.waiting;
    }
    // Those who wait come first: for starts, and for room when the host is full.
    const isFull = size >= this.#options.maxInstances;
    if (waiting > 0 && isFull && leaving === 0 && starting === 0) {
      pools.toSorted((a, b) => b.standby.idle - a.standby.idle)[0]?.standby.giveUp();
    }
    if (waiting > 0 || starting > 0 || isFull || frozenBytes >= this.#options.maxFrozenBytes) return;
    const wanting = pools.filter(({ standby }) => standby.lacking > 0);
    wanting.toSorted((a, b) => b.standby.lacking - a.standby.lacking)[0]?.standby.start();
  }
}
