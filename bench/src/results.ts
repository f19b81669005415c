import type { StartReport } from '@ebb/contract';
import type { FoldedProfile } from './fold-profile.ts';

/** What a measure must be to be good enough. */
export interface Bar {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One measured number beside its bar. */
export interface Figure {
  readonly scenario: string;
  readonly measure: string;
  readonly value: number;
  /** `` for a ratio or a count. */
  readonly unit: '' | 'ms' | 'MiB' | 'requests/s';
  /** Absent where a number is of interest but was promised to nobody. */
  readonly bar?: Bar;
  /** What the number was made of, for those who want to look closer. */
  readonly detail?: Readonly<Record<string, number | string | readonly number[]>>;
}

/** What a target bore over some connections, round by round. */
export interface ClosedLoopSeries {
  readonly target: string;
  readonly connections: number;
  readonly requestsPerSecond: readonly number[];
  readonly p50Ms: readonly number[];
  readonly p99Ms: readonly number[];
  /** CPU of what is between caller and function, in microseconds a request; empty where nothing is. */
  readonly cpuUs: readonly number[];
}

/** What became of requests that came at a fixed rate, whatever the answers did. */
export interface LoadStep {
  /** Requests a second that were due. */
  readonly offered: number;
  /** Good answers a second. */
  readonly goodput: number;
  /** Of good answers, from the moment the request was due. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers 429 and 503 a second, and how long the slowest of a hundred of them took. */
  readonly shed: number;
  readonly shedP99Ms: number;
  /** Everything else: other statuses, broken connections, no answer. */
  readonly errors: number;
  /** How late the generator was with requests it had a free connection for, in the slowest of a hundred of them. */
  readonly lateP99Ms?: number;
}

/** One cold call. */
export interface ColdCall {
  /** From sending the request to the whole answer. */
  readonly totalMs: number;
  /** Absent where no instance was started for it. */
  readonly start?: StartReport | undefined;
}

/** Everything a run measured, enough to draw it again. */
export interface Series {
  warm?: readonly ClosedLoopSeries[];
  /** Latency of the warm path as the offered load rises. */
  rising?: readonly { readonly target: string; readonly steps: readonly LoadStep[] }[];
  overload?: { readonly capacity: number; readonly steps: readonly LoadStep[] };
  /** Cold calls by the way they took. */
  cold?: readonly { readonly path: string; readonly calls: readonly ColdCall[] }[];
  simulations?: readonly Simulation[];
  profile?: FoldedProfile & { readonly connections: number };
}

/** What `ebb simulate --json` says. */
export interface Simulation {
  readonly calls: number;
  readonly functions: number;
  readonly idleMs: number;
  readonly memoryBudgetBytes?: number;
  readonly results: readonly {
    readonly keepAlive: string;
    readonly coldShare: number;
    readonly memoryByteSeconds: number;
    readonly slowdownP99: number;
    readonly prewarms: number;
    readonly evictions: number;
  }[];
}

/** What it ran on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly nginx: string;
  readonly docker: string;
  readonly commit: string;
}

/** The file a run leaves behind. */
export interface Results {
  readonly startedAt: string;
  readonly tookSeconds: number;
  readonly machine: Machine;
  readonly options: Readonly<Record<string, number>>;
  /** Scenarios that were left out or failed, and why. */
  readonly missing: Readonly<Record<string, string>>;
  readonly figures: readonly (Figure & { readonly met?: boolean })[];
  readonly series: Series;
}

/** Whether a value is as good as its bar asks. */
export function isMet(
  value: number,
  { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: Bar,
): boolean {
  return value >= atLeast && value <= atMost;
}

/** A bar in words: `≤ 25 ms`. */
export function describeBar({ bar, unit }: Pick<Figure, 'bar' | 'unit'>): string {
  if (!bar) return '–';
  const { atLeast, atMost } = bar;
  const sign = atLeast === atMost ? '=' : atLeast === undefined ? '≤' : '≥';
  return `${sign} ${atLeast ?? atMost} ${unit}`.trim();
}

/** A value in words: `21.4 ms`. */
export function describeValue({ value, unit }: Pick<Figure, 'value' | 'unit'>): string {
  const digits = Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`.trim();
}
