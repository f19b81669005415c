import { setTimeout as delay } from 'node:timers/promises';
import type { InstanceResource } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import type { FunctionUsage, UsageReader } from '../core/ports.ts';
import type { InstanceStats } from '../engines/engine.ts';

/** Instances measured at once: an engine has other things to do. */
const AT_ONCE = 8;
/** Instances measured in one look over all; where there are more, those that were measured longest ago. */
const MOST_PER_LOOK = 200;
/** Looks over all instances are at least this far apart. */
const APART_MS = 1_000;
/** Docker measures a container at most about once a second; nobody who asks for everything waits for that. */
const LONGEST_WAIT_MS = 200;
/** CPU use is a mean over at least this long ... */
const SHORTEST_MS = 300;
/** ... and at most this, so that it is of now. */
const LONGEST_MS = 30_000;

/** What is measured of one instance. */
type Measured = Pick<InstanceResource, 'id' | 'namespace' | 'function' | 'state'>;

/** What a {@link UsageMeter} is made with. */
export interface UsageMeterOptions {
  /** The instances there are. */
  readonly instances: () => Iterable<Measured>;
  /** Whether a function is still there; what others used is forgotten. */
  readonly isThere: (namespace: string, name: string) => boolean;
  readonly stats: (id: string) => Promise<InstanceStats>;
  readonly clock: Pick<Clock, 'monotonic'>;
}

interface Reading extends InstanceStats {
  readonly at: number;
}

/** What the instances of a function use together. */
export interface FunctionTotals {
  readonly namespace: string;
  readonly name: string;
  /** CPU time since this server started, instances that have ended included as far as they were measured. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
}

/**
 * Measures what functions use. Only when somebody asks, so that it costs nothing otherwise: what an instance used that
 * started and ended between two looks is not known.
 */
export class UsageMeter implements UsageReader {
  readonly #options: UsageMeterOptions;
  readonly #readings = new Map<string, Reading>();
  readonly #cpuMs = new Map<string, number>();
  #looking: Promise<void> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: UsageMeterOptions) {
    this.#options = options;
  }

  /**
   * What every function uses; of functions without instances the CPU time they used. Where an engine takes its time, that
   * is what the look before this one found. Never rejects.
   */
  async totals(): Promise<readonly FunctionTotals[]> {
    if (this.#options.clock.monotonic() - this.#lookedAt >= APART_MS) {
      this.#looking ??= this.#lookAll().finally(() => (this.#looking = undefined));
    }
    await Promise.race([this.#looking, delay(LONGEST_WAIT_MS, undefined, { ref: false })]);
    const memory = new Map<string, number>();
    for (const instance of this.#options.instances()) {
      const key = keyOf(instance);
      memory.set(key, (memory.get(key) ?? 0) + (this.#readings.get(instance.id)?.memoryBytes ?? 0));
    }
    return Array.from(this.#cpuMs, ([key, cpuMs]) => {
      const [namespace = '', name = ''] = key.split('/');
      return { namespace, name, cpuMs, memoryBytes: memory.get(key) ?? 0 };
    });
  }

  async usage(namespace: string, name: string): Promise<FunctionUsage> {
    const own = [...this.#options.instances()].filter((one) => one.namespace === namespace && one.function === name);
    const now = this.#options.clock.monotonic();
    const before = new Map(own.map(({ id }) => [id, this.#recent(id, now)]));
    if (own.some(({ id, state }) => state !== 'frozen' && !before.get(id))) {
      await this.#look(own);
      for (const { id } of own) before.set(id, this.#readings.get(id));
      await delay(SHORTEST_MS);
    }
    await this.#look(own);
    let [cores, memoryBytes] = [0, 0];
    for (const { id } of own) {
      const [first, last] = [before.get(id), this.#readings.get(id)];
      memoryBytes += last?.memoryBytes ?? 0;
      if (first && last && last.at > first.at) cores += Math.max(0, last.cpuMs - first.cpuMs) / (last.at - first.at);
    }
    return { cpuMillicores: Math.round(cores * 1000), memoryBytes };
  }

  #recent(id: string, now: number): Reading | undefined {
    const reading = this.#readings.get(id);
    if (!reading) return undefined;
    const ageMs = now - reading.at;
    return ageMs >= SHORTEST_MS && ageMs <= LONGEST_MS ? reading : undefined;
  }

  async #lookAll(): Promise<void> {
    const { instances, isThere, clock } = this.#options;
    const all = [...instances()];
    const ids = new Set(all.map(({ id }) => id));
    for (const id of this.#readings.keys()) if (!ids.has(id)) this.#readings.delete(id);
    for (const key of this.#cpuMs.keys()) {
      const [namespace = '', name = ''] = key.split('/');
      if (!isThere(namespace, name)) this.#cpuMs.delete(key);
    }
    // One that is frozen uses nothing more than it did.
    const due = all.filter(({ id, state }) => state !== 'frozen' || !this.#readings.has(id));
    const age = ({ id }: Measured) => this.#readings.get(id)?.at ?? Number.NEGATIVE_INFINITY;
    await this.#look(due.toSorted((left, right) => age(left) - age(right)).slice(0, MOST_PER_LOOK));
    this.#lookedAt = clock.monotonic();
  }

  async #look(instances: readonly Measured[]): Promise<void> {
    const left = instances.values();
    const work = async () => {
      for (const instance of left) await this.#measure(instance);
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, instances.length) }, work));
  }

  async #measure(instance: Measured): Promise<void> {
    const { stats, clock } = this.#options;
    try {
      const measured = await stats(instance.id);
      const key = keyOf(instance);
      const used = measured.cpuMs - (this.#readings.get(instance.id)?.cpuMs ?? 0);
      this.#cpuMs.set(key, (this.#cpuMs.get(key) ?? 0) + Math.max(0, used));
      this.#readings.set(instance.id, { ...measured, at: clock.monotonic() });
    } catch {
      // It may just be ending; what is not known is left out.
    }
  }
}

function keyOf({ namespace, function: name }: Measured): string {
  return `${namespace}/${name}`;
}
