import { setTimeout } from 'node:timers/promises';
import { load, median } from '../measure.ts';
import { pacedLoad } from '../paced-load.ts';
import { printTable } from '../print-table.ts';
import type { Report } from '../report.ts';
import { functionDir, startEbb } from '../start-ebb.ts';
import { countCalls, submitMany } from './submit-many.ts';

/** Calls for a round; more than are delivered in it. */
const BACKLOG = 20_000;
/** Longer than it takes to have them accepted and to measure without them. */
const FILL_MS = 8_000;
/** Of what the server can do at most: room for both kinds of calls. */
const SYNC_SHARE = 0.1;

/** The tail of synchronous calls to one function while the queue of another is quiet, and while it drains. */
export async function benchDraining(
  report: Report,
  { seconds, rounds }: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  await using ebb = await startEbb('process');
  const spec = { concurrency: 100, scale: { min: 1, max: 1, freezeAfter: 'off' as const } };
  await ebb.deploy('plain', await ebb.upload(functionDir('plain')), spec);
  await ebb.deploy('stamp', await ebb.upload(functionDir('stamp')), spec);
  const url = `${ebb.url}/function/plain`;
  const capacity = await load(url, { connections: 32, seconds: 2 });
  const rate = capacity.requestsPerSecond * SYNC_SHARE;
  const quiet: number[] = [];
  const busy: number[] = [];
  const delivered: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = await countCalls(ebb, 'stamp');
    const dueAt = new Date(Date.now() + FILL_MS + seconds * 1000);
    await submitMany(ebb, 'stamp', BACKLOG, dueAt);
    await setTimeout(500);
    quiet.push((await pacedLoad({ url, rate, seconds })).p99Ms);
    await setTimeout(Math.max(0, dueAt.getTime() - Date.now()) + 300);
    const beganMs = performance.now();
    const first = await countCalls(ebb, 'stamp');
    busy.push((await pacedLoad({ url, rate, seconds })).p99Ms);
    const last = await countCalls(ebb, 'stamp');
    delivered.push(((last - first) * 1000) / (performance.now() - beganMs));
    if (last - before >= BACKLOG) throw new Error('the queue was empty before the round was over');
    while ((await countCalls(ebb, 'stamp')) - before < BACKLOG) await setTimeout(1000);
  }
  printTable(
    `Synchronous calls at ${rate.toFixed(0)}/s beside a queue`,
    ['queue', 'p99 ms', 'delivered/s'],
    [
      ['quiet', median(quiet).toFixed(2), '0'],
      ['draining', median(busy).toFixed(2), median(delivered).toFixed(0)],
    ],
  );
  report.add({
    measure: 'p99 of warm calls while a queue drains, of that beside a quiet one',
    value: median(busy) / median(quiet),
    unit: '',
    bar: { atMost: 1.2 },
    detail: { quiet, busy, deliveredPerSecond: delivered },
  });
}
