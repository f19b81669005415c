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

  /** How many of `wanted` instances the host's bound leaves room for; makes room by what is idle elsewhere. */
  #room(wanted: number): number {
    let used = 0;
    for (const scalable of this.#options.all()) used += scalable.size;
    const free = Math.max(0, this.#options.maxInstances - used);
    let lacking = wanted - free;
    for (const scalable of this.#options.all()) {
      if (lacking <= 0) break;
      const spare = Math.min(scalable.idleMs().length, scalable.ready - scalable.version.limits.scaleMin, lacking);
      if (spare <= 0) continue;
      scalable.scaleTo(scalable.ready + scalable.starting - spare);
      lacking -= spare;
    }
    return Math.min(wanted, free);
  }
}
