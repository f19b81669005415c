import autocannon from 'autocannon';
import { fileURLToPath } from 'node:url';
import { printTable } from './print-table.ts';
import type { Report } from './report.ts';
import { startEbb } from './start-ebb.ts';

const SLOW = fileURLToPath(new URL('../functions/slow', import.meta.url));
/** Two instances of ten slots with 20 ms a call. */
const CAPACITY = 1000;
/** Offered load, as parts of the capacity. */
const LOADS = [0.25, 0.5, 0.75, 0.9, 1, 1.25, 1.5, 2, 3];

/** One step of rising load. */
export interface LoadStep {
  readonly offered: number;
  /** Good answers a second. */
  readonly goodput: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly shed: number;
  readonly errors: number;
}

/** Latency, good answers and refusals while requests come at a fixed rate, whatever the answers do, past saturation. */
export async function benchOverload(report: Report, options: { readonly seconds: number }): Promise<void> {
  await using ebb = await startEbb('process');
  await ebb.deploy('slow', await ebb.upload(SLOW), {
    concurrency: 10,
    scale: { min: 2, max: 2 },
    queue: { length: 50 },
  });
  const url = `${ebb.url}/function/slow`;
  await step(url, 200, 1);
  const steps: LoadStep[] = [];
  for (const part of LOADS) steps.push(await step(url, part * CAPACITY, options.seconds));
  printTable(
    `Load past saturation (capacity ${CAPACITY} requests/s)`,
    ['offered/s', 'good/s', 'p50 ms', 'p99 ms', 'shed/s', 'other errors'],
    steps.map((one) => [one.offered, one.goodput, one.p50Ms, one.p99Ms, one.shed, one.errors].map((n) => n.toFixed(0))),
  );
  const best = Math.max(...steps.map(({ goodput }) => goodput));
  const worstPast = Math.min(...steps.filter(({ offered }) => offered > CAPACITY).map(({ goodput }) => goodput));
  report.add({
    measure: 'goodput past saturation, of the best',
    value: worstPast / best,
    unit: '',
    bar: { atLeast: 0.9 },
    detail: {
      offered: steps.map(({ offered }) => offered),
      goodput: steps.map(({ goodput }) => goodput),
      p50Ms: steps.map(({ p50Ms }) => p50Ms),
      p99Ms: steps.map(({ p99Ms }) => p99Ms),
      shed: steps.map(({ shed }) => shed),
    },
  });
}

async function step(url: string, rate: number, seconds: number): Promise<LoadStep> {
  const result = await autocannon({ url, connections: 400, overallRate: rate, duration: seconds });
  return {
    offered: rate,
    goodput: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    shed: result.non2xx / result.duration,
    errors: result.errors,
  };
}
