import { decideScale, type ScaleObservation } from './decide-scale.ts';
import type { ResolvedLimits } from '@ebb/contract';

/** One version as the autoscaler sees it. */
export interface Scalable {
  readonly version: { readonly limits: ResolvedLimits };
  readonly inFlight: number;
  readonly waiting: number;
  readonly ready: number;
  readonly starting: number;
  readonly size: number;
  readonly retiring: boolean;
  idleMs(): number[];
  scaleTo(desired: number): void;
}

/** What a {@link ScaleLoop} is made with. */
export interface ScaleLoopOptions {
  /** Every version with instances or waiting requests. */
  readonly all: () => Iterable<Scalable>;
  /** Most instances on this host, over all versions. */
  readonly maxInstances: number;
  /** Time between two looks at what is idle, in milliseconds. */
  readonly everyMs: number;
}

/** Applies {@link decideScale}: at once where a request waits, and regularly to let idle instances go. */
export class ScaleLoop implements Disposable {
  readonly #options: ScaleLoopOptions;
  readonly #poked = new Set<Scalable>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ScaleLoopOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      for (const scalable of this.#options.all()) this.#apply(scalable);
    }, this.#options.everyMs).unref();
  }

  /**
   * Has one version decided soon: after what runs now, so that misses of the same moment are one decision (S3).
   */
  poke(scalable: Scalable): void {
    if (this.#poked.size === 0) setImmediate(() => this.#applyPoked());
    this.#poked.add(scalable);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #applyPoked(): void {
    const poked = [...this.#poked];
    this.#poked.clear();
    for (const scalable of poked) this.#apply(scalable);
  }

  #apply(scalable: Scalable): void {
    const observation: ScaleObservation = {
      inFlight: scalable.inFlight,
      waiting: scalable.waiting,
      ready: scalable.ready,
      starting: scalable.starting,
      idleMs: scalable.idleMs(),
      retiring: scalable.retiring,
    };
    const decision = decideScale(scalable.version.limits, observation);
    if (decision.kind === 'hold') return;
    const have = observation.ready + observation.starting;
    scalable.scaleTo(decision.desired > have ? have + this.#room(decision.desired - have) : decision.desired);
  }

  /**
   * How many of `wanted` instances the host's bound leaves room for. Makes room by what was idle longest elsewhere;
   * that counts only once it is gone (E3), and is not asked for twice.
   */
  #room(wanted: number): number {
    const all = [...this.#options.all()];
    let used = 0;
    let leaving = 0;
    for (const scalable of all) {
      used += scalable.size;
      leaving += scalable.size - scalable.ready - scalable.starting;
    }
    const free = Math.max(0, this.#options.maxInstances - used);
    const lacking = wanted - free - leaving;
    if (lacking > 0) this.#makeRoom(all, lacking);
    return Math.min(wanted, free);
  }

  #makeRoom(all: readonly Scalable[], lacking: number): void {
    const spare = all.flatMap((scalable) => {
      const idle = scalable.idleMs().sort((a, b) => b - a);
      const most = Math.max(0, scalable.ready - scalable.version.limits.scaleMin);
      return idle.slice(0, most).map((ms) => ({ scalable, ms }));
    });
    const victims = new Map<Scalable, number>();
    for (const { scalable } of spare.sort((a, b) => b.ms - a.ms).slice(0, lacking)) {
      victims.set(scalable, (victims.get(scalable) ?? 0) + 1);
    }
    for (const [scalable, count] of victims) scalable.scaleTo(scalable.ready + scalable.starting - count);
  }
}
