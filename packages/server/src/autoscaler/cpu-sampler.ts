import type { InstanceStats } from '../engines/engine.ts';
import type { Scalable } from './scalable.ts';

/** Cores in use over a time, in milliseconds. */
export interface CpuSample {
  readonly cores: number;
  readonly overMs: number;
}

interface Reading {
  readonly cpuMs: number;
  readonly at: number;
}

/** Measures what the instances of one version use of the CPU; one measurement at a time. */
export class CpuSampler {
  readonly #stats: (id: string) => Promise<InstanceStats>;
  #readings = new Map<string, Reading>();
  #sampledAt: number | undefined;
  #isBusy = false;

  constructor(stats: (id: string) => Promise<InstanceStats>) {
    this.#stats = stats;
  }

  /**
   * The cores its ready instances used since the last sample; undefined where that is not known: at first, while
   * another sample is under way, and for an engine that does not answer (S1). Never throws.
   */
  async sample(scalable: Scalable, monotonic: () => number): Promise<CpuSample | undefined> {
    if (this.#isBusy) return undefined;
    this.#isBusy = true;
    try {
      const readings = new Map<string, Reading>();
      const ids = scalable.instances().flatMap(({ id, state }) => (state === 'draining' ? [] : [id]));
      const cores = await Promise.all(ids.map((id) => this.#read(id, readings, monotonic)));
      const known = cores.filter((used) => used !== undefined);
      const at = monotonic();
      const overMs = at - (this.#sampledAt ?? at);
      this.#readings = readings;
      this.#sampledAt = at;
      if (known.length === 0 || overMs <= 0) return undefined;
      return { cores: known.reduce((sum, used) => sum + used, 0), overMs };
    } finally {
      this.#isBusy = false;
    }
  }

  async #read(id: string, readings: Map<string, Reading>, monotonic: () => number): Promise<number | undefined> {
    try {
      const { cpuMs } = await this.#stats(id);
      const reading = { cpuMs, at: monotonic() };
      readings.set(id, reading);
      const last = this.#readings.get(id);
      if (!last || reading.at <= last.at) return undefined;
      return Math.max(0, cpuMs - last.cpuMs) / (reading.at - last.at);
    } catch {
      // It may just be ending; what is not known is left out.
      return undefined;
    }
  }
}
