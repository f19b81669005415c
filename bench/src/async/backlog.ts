import { setTimeout } from 'node:timers/promises';
import { residentBytes } from '../measure.ts';
import { printTable } from '../print-table.ts';
import type { Report } from '../report.ts';
import { functionDir, type MeasuredEbb, startEbb } from '../start-ebb.ts';
import { countCalls, submitMany } from './submit-many.ts';

const SMALL = 1000;
const LARGE = 1_000_000;
/** Longer than it takes to have them all accepted. */
const FILL_MS = 120_000;
const MEASURE_SECONDS = 10;
const MIB = 2 ** 20;
/** 400 MB. */
const MOST_MIB = 381;

/** How fast calls are delivered out of a thousand that wait, and out of a million, and what memory these take. */
export async function benchBacklog(report: Report): Promise<void> {
  const small = await fewAtATime();
  await using ebb = await startWithStamp();
  const dueAt = new Date(Date.now() + FILL_MS);
  const beganMs = performance.now();
  await submitMany(ebb, 'stamp', LARGE, dueAt);
  const filledSeconds = (performance.now() - beganMs) / 1000;
  const filledBytes = residentBytes(ebb.pid);
  await setTimeout(Math.max(0, dueAt.getTime() - Date.now()) + 2000);
  const before = await countCalls(ebb, 'stamp');
  const startMs = performance.now();
  let peakBytes = filledBytes;
  while (performance.now() - startMs < MEASURE_SECONDS * 1000) {
    await setTimeout(250);
    peakBytes = Math.max(peakBytes, residentBytes(ebb.pid));
  }
  const large = ((await countCalls(ebb, 'stamp')) - before) / ((performance.now() - startMs) / 1000);
  printTable(
    'Delivered out of a backlog',
    ['calls that wait', 'accepted/s', 'delivered/s', 'RSS of the server, MiB'],
    [
      [String(SMALL), '–', small.toFixed(0), '–'],
      [String(LARGE), (LARGE / filledSeconds).toFixed(0), large.toFixed(0), (peakBytes / MIB).toFixed(0)],
    ],
  );
  report.add({
    measure: 'RSS of the server with a million calls that wait',
    value: peakBytes / MIB,
    unit: 'MiB',
    bar: { atMost: MOST_MIB },
    detail: { filledMib: filledBytes / MIB },
  });
  report.add({
    measure: 'delivery with a million calls that wait, of that with a thousand',
    value: large / small,
    unit: '',
    // Less is noise of one run.
    bar: { atLeast: 0.95 },
    detail: { small, large },
  });
}

/** Calls a second with never more than a thousand waiting: the time from the first to the last, several times. */
async function fewAtATime(): Promise<number> {
  await using ebb = await startWithStamp();
  let seconds = 0;
  const rounds = 10;
  for (let round = 0; round < rounds; round += 1) {
    const goal = (await countCalls(ebb, 'stamp')) + SMALL;
    const dueAt = new Date(Date.now() + 1000);
    await submitMany(ebb, 'stamp', SMALL, dueAt);
    let firstMs: number | undefined;
    for (;;) {
      await setTimeout(2);
      const calls = await countCalls(ebb, 'stamp');
      if (calls > goal - SMALL) firstMs ??= performance.now();
      if (calls >= goal) break;
    }
    seconds += (performance.now() - (firstMs ?? 0)) / 1000;
  }
  return (SMALL * rounds) / seconds;
}

async function startWithStamp(): Promise<MeasuredEbb> {
  const ebb = await startEbb('process');
  await ebb.deploy('stamp', await ebb.upload(functionDir('stamp')), {
    concurrency: 100,
    scale: { min: 1, max: 1, freezeAfter: 'off' },
  });
  return ebb;
}
