import type { Clock } from '../core/clock.ts';
import { decidePace } from './decide-pace.ts';

/** How often the pace is looked at while attempts begin. */
const LOOK_MS = 10;
/** Calls from outside count so long. */
const SHARED_MS = 250;
/** Without anybody who asks it is not looked at any more. */
const UNUSED_MS = 2_000;

/** How fast attempts may begin, so that calls from outside do not notice. */
export interface Pace extends Disposable {
  /** How many may begin now. */
  readonly allowance: number;
  /** How long to leave between writes for which nobody waits, in milliseconds: each takes a CPU from the calls from outside. */
  readonly apartMs: number;
  /** Takes note that so many begin. */
  spend(count: number): void;
}

/** Makes a {@link Pace}; `outside` counts the calls from outside, from any time on. */
export function createPace({
  outside,
  clock,
}: {
  readonly outside: () => number;
  readonly clock: Pick<Clock, 'monotonic'>;
}): Pace {
  let perLook = Infinity;
  let spent = 0;
  let timer: NodeJS.Timeout | undefined;
  let lookedMs = 0;
  let usedMs = 0;
  let seen = outside();
  let sharedUntilMs = 0;
  let outsidePerSecond = 0;

  /** Takes note of the calls from outside since the last time. */
  const observe = (nowMs: number): void => {
    const came = outside() - seen;
    seen += came;
    if (came !== 0) sharedUntilMs = nowMs + SHARED_MS;
    const tookMs = Math.max(1, nowMs - lookedMs);
    const share = Math.min(1, tookMs / SHARED_MS);
    outsidePerSecond += share * ((came * 1000) / tookMs - outsidePerSecond);
    if (nowMs >= sharedUntilMs) outsidePerSecond = 0;
  };
  const look = (): void => {
    const nowMs = clock.monotonic();
    observe(nowMs);
    perLook = decidePace(perLook, { outsidePerSecond, lagMs: nowMs - lookedMs - LOOK_MS });
    lookedMs = nowMs;
    // What is left of a fraction counts on.
    spent = Math.max(0, spent - perLook);
    if (nowMs - usedMs < UNUSED_MS) return;
    clearInterval(timer);
    timer = undefined;
  };
  return {
    get allowance() {
      usedMs = clock.monotonic();
      if (timer === undefined) {
        lookedMs = usedMs;
        timer = setInterval(look, LOOK_MS).unref();
        // Those that came while nobody looked may be long gone.
        seen = outside();
      } else if (perLook === Infinity && outside() !== seen) {
        // Whoever has just come is not to wait for all that would begin until the next look.
        look();
      }
      return perLook === Infinity ? Infinity : Math.max(0, Math.ceil(perLook - spent));
    },
    get apartMs() {
      return perLook === Infinity ? 0 : LOOK_MS;
    },
    spend(count) {
      spent += count;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
