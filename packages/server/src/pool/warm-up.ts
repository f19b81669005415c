/** An instance that was idle for longer has no part in the load. */
const ACTIVE_MS = 2_000;
/** How long what was started ahead is kept: by then the calls are there, or do not come. */
const KEEP_MS = 5_000;
const LOOK_EVERY_MS = 5;

/** The pool of a version, as far as it is warmed up. */
export interface WarmablePool {
  readonly version: { readonly limits: { readonly concurrency: number; readonly scaleMax: number } };
  readonly ready: number;
  /** Instances that somebody keeps for calls to come. */
  readonly held: number;
  /** Whether starts are held back since they keep failing. */
  startsHeld(): unknown;
  idleMs(): readonly number[];
  hold(count: number): void;
}

/** How many calls at once the instances of some pools that are at work are there for. */
export function activeCalls(pools: Iterable<Pick<WarmablePool, 'version' | 'ready' | 'idleMs'>>): number {
  let calls = 0;
  for (const pool of pools) {
    const idle = pool.idleMs().filter((ms) => ms > ACTIVE_MS).length;
    calls += Math.max(0, pool.ready - idle) * pool.version.limits.concurrency;
  }
  return calls;
}

/** Instances a version needs for so many calls at once. */
export function instancesFor(calls: number, { concurrency, scaleMax }: WarmablePool['version']['limits']): number {
  return Math.min(scaleMax, Math.ceil(calls / concurrency));
}

/**
 * Has a pool start instances until it has `count`; resolves when they are ready, when starts fail, when `isOver`, or
 * after `limitMs`.
 * They are kept for a moment. What somebody else keeps instances of is left to him.
 */
export async function warmUp(pool: WarmablePool, count: number, limitMs: number, isOver: () => boolean): Promise<void> {
  if (count <= pool.ready || pool.held > 0) return;
  pool.hold(count);
  const release = () => {
    if (pool.held === count) pool.hold(0);
  };
  setTimeout(release, limitMs + KEEP_MS).unref();
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += LOOK_EVERY_MS) {
    if (pool.ready >= count || pool.startsHeld() !== undefined || isOver()) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
