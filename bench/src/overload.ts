import { openLoop } from './open-loop.ts';
import { printTable } from './print-table.ts';
import type { Report } from './report.ts';
import type { LoadStep } from './results.ts';
import { functionDir, startEbb } from './start-ebb.ts';

/** Two instances of ten slots with 20 ms a call. */
const CAPACITY = 1000;
/** More than the server ever holds, so that none waits in the generator. */
const CONNECTIONS = 200;
/** Offered load, as parts of the capacity. */
const LOADS = [0.25, 0.5, 0.75, 0.9, 1, 1.25, 1.5, 2, 3];

/** Latency, good answers and refusals while requests come at a fixed rate, whatever the answers do, past saturation. */
export async function benchOverload(report: Report, { seconds }: { readonly seconds: number }): Promise<void> {
  await using ebb = await startEbb('process');
  await ebb.deploy('slow', await ebb.upload(functionDir('slow')), {
    concurrency: 10,
    scale: { min: 2, max: 2 },
    queue: { length: 50 },
  });
  const url = `${ebb.url}/function/slow`;
  await openLoop({ url, rate: 200, seconds: 1, connections: CONNECTIONS });
  const steps: LoadStep[] = [];
  for (const part of LOADS)
    steps.push(await openLoop({ url, rate: part * CAPACITY, seconds, connections: CONNECTIONS }));
  printTable(
    `Load past saturation (capacity ${CAPACITY} requests/s)`,
    ['offered/s', 'good/s', 'p50 ms', 'p99 ms', 'shed/s', 'shed p99 ms', 'other errors'],
    steps.map(({ offered, goodput, p50Ms, p99Ms, shed, shedP99Ms, errors }) =>
      [offered, goodput, p50Ms, p99Ms, shed, shedP99Ms, errors].map((n) => n.toFixed(0)),
    ),
  );
  report.series.overload = { capacity: CAPACITY, steps };
  const best = Math.max(...steps.map(({ goodput }) => goodput));
  const past = steps.filter(({ offered }) => offered > CAPACITY);
  report.add({
    measure: 'goodput past saturation, of the best',
    value: Math.min(...past.map(({ goodput }) => goodput)) / best,
    unit: '',
    bar: { atLeast: 0.9 },
  });
  report.add({
    measure: 'calls under rising load that were neither answered nor refused with 429 or 503',
    value: steps.reduce((sum, { errors }) => sum + errors, 0),
    unit: '',
    bar: { atMost: 0 },
  });
  report.add({
    measure: 'time to be refused past saturation, p99',
    value: Math.max(...past.map(({ shedP99Ms }) => shedP99Ms)),
    unit: 'ms',
  });
}
