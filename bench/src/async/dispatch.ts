import { setTimeout } from 'node:timers/promises';
import { median, percentile } from '../measure.ts';
import { printTable } from '../print-table.ts';
import type { Report } from '../report.ts';
import { functionDir, type MeasuredEbb, startEbb } from '../start-ebb.ts';
import { readStamp } from './submit-many.ts';

const CALLS = 300;
const GAP_MS = 5;

/**
 * What an idle queue adds: from the moment a caller sends its call until the function has it, asynchronously and
 * synchronously, by turns.
 */
export async function benchDispatch(report: Report): Promise<void> {
  await using ebb = await startEbb('process');
  await ebb.deploy('stamp', await ebb.upload(functionDir('stamp')), { scale: { min: 1, max: 1, freezeAfter: 'off' } });
  const direct: number[] = [];
  const queued: number[] = [];
  for (let i = 0; i < CALLS; i += 1) {
    direct.push(await callNow(ebb));
    await setTimeout(GAP_MS);
    queued.push(await callLater(ebb));
    await setTimeout(GAP_MS);
  }
  printTable(
    'From the caller to the function',
    ['call', 'p50 ms', 'p95 ms', 'p99 ms'],
    [
      ['synchronous', ...[0.5, 0.95, 0.99].map((share) => percentile(direct, share).toFixed(2))],
      ['asynchronous', ...[0.5, 0.95, 0.99].map((share) => percentile(queued, share).toFixed(2))],
    ],
  );
  report.add({
    measure: 'dispatch of an idle queue, over a synchronous call, p50',
    value: median(queued) - median(direct),
    unit: 'ms',
    bar: { atMost: 3 },
  });
}

async function callNow(ebb: MeasuredEbb): Promise<number> {
  const sentMs = monotonicMs();
  const response = await fetch(`${ebb.url}/function/stamp`, { method: 'POST', body: 'now' });
  if (!response.ok) throw new Error(await response.text());
  return readStamp(await response.text()).atMs - sentMs;
}

async function callLater(ebb: MeasuredEbb): Promise<number> {
  const sentMs = monotonicMs();
  const accepted = await fetch(`${ebb.url}/async-function/stamp`, { method: 'POST', body: 'later' });
  const id = accepted.headers.get('x-call-id');
  await accepted.arrayBuffer();
  const headers = { authorization: `Bearer ${ebb.token}` };
  await (await fetch(`${ebb.url}/v1/invocations/${id}?wait=10s`, { headers })).arrayBuffer();
  const result = await fetch(`${ebb.url}/v1/invocations/${id}/result`, { headers });
  if (!result.ok) throw new Error(await result.text());
  return readStamp(await result.text()).atMs - sentMs;
}

/** The clock that all processes of a host share. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
