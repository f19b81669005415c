import type { MetricFamilies } from './metric-families.ts';
import { readIn } from './read-in.ts';

/** How the asynchronous calls of a function stand. */
export interface AsyncGauges {
  /** `NAME.NAMESPACE`; what is for no function has a name that no function can have. */
  readonly label: string;
  readonly queued: number;
  readonly running: number;
  /** Age of the oldest queued call. */
  readonly oldestSeconds: number;
}

/** Functions with series of their own; beyond that those with the fewest calls are left out. */
const MAX_SERIES = 2_000;
/** A scrape does not wait longer for how the calls stand: the queue may be another server's just now. */
const READ_MS = 1_000;

/** The metrics about asynchronous calls. */
export interface AsyncMetrics {
  /** Counts a call that somebody wanted accepted. */
  offered(outcome: 'accepted' | 'duplicate' | 'refused'): void;
  /** Counts how an attempt left its call. */
  settled(outcome: 'succeeded' | 'retry' | 'dead' | 'cancelled'): void;
  /** Brings the gauges up to date, and says what they were set from; a moment at most, and undefined beyond that. */
  read(): Promise<readonly AsyncGauges[] | undefined>;
}

/** Makes them; `gauges` is asked at each scrape. */
export function createAsyncMetrics(
  families: MetricFamilies,
  gauges: () => Promise<readonly AsyncGauges[]> = () => Promise.resolve([]),
): AsyncMetrics {
  const labelNames = ['function_name'] as const;
  const offered = families.counter(
    'ebb_async_submits_total',
    'Asynchronous calls that were submitted, by what came of it: accepted, duplicate or refused.',
    ['outcome'],
  );
  const queued = families.gauge(
    'ebb_async_queued',
    'Asynchronous calls that wait for their first or next attempt.',
    labelNames,
  );
  const running = families.gauge('ebb_async_running', 'Asynchronous calls with an attempt under way.', labelNames);
  const oldest = families.gauge(
    'ebb_async_oldest_seconds',
    'Time since the oldest waiting asynchronous call was accepted.',
    labelNames,
  );
  const counts = {
    accepted: offered.labels('accepted'),
    duplicate: offered.labels('duplicate'),
    refused: offered.labels('refused'),
  };
  const settled = families.counter(
    'ebb_async_settled_total',
    'Attempts of asynchronous calls, by how they left their call: succeeded, retry, dead or cancelled.',
    ['outcome'],
  );
  const ends = {
    succeeded: settled.labels('succeeded'),
    retry: settled.labels('retry'),
    dead: settled.labels('dead'),
    cancelled: settled.labels('cancelled'),
  };
  // So that a rate can be taken of what has not happened yet.
  for (const count of [...Object.values(counts), ...Object.values(ends)]) count.inc(0);
  return {
    offered: (outcome) => counts[outcome].inc(),
    settled: (outcome) => ends[outcome].inc(),
    async read() {
      const found = await readIn(READ_MS, gauges);
      if (!found) return undefined;
      for (const gauge of [queued, running, oldest]) gauge.reset();
      const most = found.toSorted((left, right) => right.queued + right.running - (left.queued + left.running));
      for (const one of most.slice(0, MAX_SERIES)) {
        queued.labels(one.label).set(one.queued);
        running.labels(one.label).set(one.running);
        oldest.labels(one.label).set(one.oldestSeconds);
      }
      return found;
    },
  };
}
