import { setTimeout as sleep } from 'node:timers/promises';
import { WEIGHT_TOTAL } from '@ebb/contract';
import type { FunctionRecord, Version } from '../core/ports.ts';
import type { SideCounts } from './fold-observations.ts';

/** The instances of a version as a rollout needs them. */
export interface RolloutPool {
  readonly ready: number;
  /** Starts since the pool was made, and those that failed because of the function. */
  readonly starts: { readonly made: number; readonly failed: number };
  /** Keeps so many instances for calls that are about to come; 0 ends it. */
  hold(count: number): void;
}

/** What a {@link RolloutWarmth} is made with. */
export interface RolloutWarmthOptions {
  readonly from: number;
  readonly to: number;
  /** The function as it is now. */
  readonly find: () => FunctionRecord | undefined;
  /** The pool of a version, made if there is none. */
  readonly poolOf: (version: Version) => RolloutPool;
}

/** Who waits for instances looks this often. */
const LOOK_MS = 20;

/**
 * Keeps the instances of both versions of a rollout: the new one as many as its share of the calls needs before it gets
 * them, the old one as many as all calls need, since it may have to take them back at once.
 */
export class RolloutWarmth {
  readonly #options: RolloutWarmthOptions;
  /** The most instances that either version had: what one of them needs to take all calls. */
  #needed = 1;
  /** Starts counted before, by version. */
  readonly #starts = new Map<number, RolloutPool['starts']>();

  constructor(options: RolloutWarmthOptions) {
    this.#options = options;
  }

  /** Instances of the new version that are ready. */
  get ready(): number {
    return this.#pool(this.#options.to)?.ready ?? 0;
  }

  /** Instances the new version needs for a weight in percent: at least one, at most its `scale.max`. */
  wanted(weight: number): number {
    const { scaleMax } = this.#version(this.#options.to)?.limits ?? { scaleMax: 1 };
    return Math.max(1, Math.min(scaleMax, Math.ceil((this.#needed * weight) / WEIGHT_TOTAL)));
  }

  /** Has both versions keep what they need, the new one for a weight in percent. */
  keep(weight: number): void {
    const old = this.#pool(this.#options.from);
    const young = this.#pool(this.#options.to);
    this.#needed = Math.max(this.#needed, old?.ready ?? 0, young?.ready ?? 0);
    old?.hold(this.#needed);
    young?.hold(this.wanted(weight));
  }

  /** Waits until the instances are ready that the new version needs for a weight, the time is over, or `isOver` says so. */
  async wait(weight: number, mostMs: number, isOver: () => boolean): Promise<void> {
    for (let leftMs = mostMs; leftMs > 0; leftMs -= LOOK_MS) {
      if (isOver() || this.ready >= this.wanted(weight)) return;
      await sleep(LOOK_MS);
    }
  }

  /** Makes what has both versions keep nothing any more; it works also when one of them is not known any more by then. */
  makeRelease(): () => void {
    const pools = [this.#pool(this.#options.from), this.#pool(this.#options.to)];
    return () => {
      for (const pool of pools) pool?.hold(0);
    };
  }

  /** What was seen of a version, with its starts since the last time. */
  withStarts(number: number, seen: SideCounts): SideCounts {
    const now = this.#pool(number)?.starts;
    const before = this.#starts.get(number);
    if (!now) return seen;
    this.#starts.set(number, now);
    // Those before the rollout do not count; a pool made anew begins at zero.
    if (!before || before.made > now.made) return seen;
    return { ...seen, starts: now.made - before.made, failedStarts: now.failed - before.failed };
  }

  #pool(number: number): RolloutPool | undefined {
    const version = this.#version(number);
    return version && this.#options.poolOf(version);
  }

  #version(number: number): Version | undefined {
    return this.#options.find()?.versions.find(({ version }) => version === number);
  }
}
