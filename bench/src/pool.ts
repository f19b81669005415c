import { fileURLToPath } from 'node:url';
import Dockerode from 'dockerode';
import { median } from './measure.ts';
import { printTable } from './print-table.ts';
import { type MeasuredEbb, startEbb } from './start-ebb.ts';

const SMALL = fileURLToPath(new URL('../functions/small', import.meta.url));
const BURST = 200;
const MAX_INSTANCES = 20;
const COLD_BAR_MS = { p50: 25, p95: 45 };
/** Time the pool gets to be full again before the next measurement. */
const REFILL_MS = 800;

/**
 * The cold start from the warm pool on Docker, and many first calls to a function at zero at once. The first call of a
 * version that was deployed counts like any other.
 */
export async function benchPool(options: { readonly rounds: number }): Promise<void> {
  const docker = new Dockerode({ socketPath: process.env['EBB_DOCKER_SOCKET'] ?? '/var/run/docker.sock' });
  if (!(await docker.ping().catch(() => undefined))) {
    process.stdout.write('\nWarm pool: left out, no Docker daemon answers\n');
    return;
  }
  await using ebb = await startEbb('docker');
  const code = await ebb.upload(SMALL);
  await ebb.deploy('small', code, { scale: { min: 0, max: 1, idle: '100ms' } });
  const cold: number[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    await atZero(ebb, 'small');
    cold.push((await timedCall(`${ebb.url}/function/small`)).ms);
  }
  const sorted = cold.toSorted((a, b) => a - b);
  const p95 = sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN;
  printTable(
    `Cold start from the pool on Docker, TypeScript with a small dependency (${options.rounds} rounds)`,
    ['measure', 'ms', 'bar'],
    [
      ['p50', median(cold).toFixed(1), `<= ${COLD_BAR_MS.p50}`],
      ['p95', p95.toFixed(1), `<= ${COLD_BAR_MS.p95}`],
      ['slowest', (sorted.at(-1) ?? Number.NaN).toFixed(1), ''],
    ],
  );

  await ebb.deploy('burst', code, { concurrency: 10, scale: { min: 0, max: MAX_INSTANCES, idle: '100ms' } });
  await atZero(ebb, 'burst');
  const since = Date.now() / 1000;
  const answers = await Promise.all(Array.from({ length: BURST }, () => timedCall(`${ebb.url}/function/burst`)));
  const creates = await countCreates(docker, ebb, since);
  const times = answers.map(({ ms }) => ms).toSorted((a, b) => a - b);
  printTable(
    `${BURST} first calls at once, concurrency 10, at most ${MAX_INSTANCES} instances`,
    ['measure', 'value', 'bar'],
    [
      ['answered 200', String(answers.filter(({ status }) => status === 200).length), String(BURST)],
      ['p50 ms', median(times).toFixed(0), ''],
      ['p99 ms', (times[Math.ceil(BURST * 0.99) - 1] ?? Number.NaN).toFixed(0), ''],
      ['containers created', String(creates), `<= ${MAX_INSTANCES}`],
    ],
  );
}

async function timedCall(url: string): Promise<{ readonly ms: number; readonly status: number }> {
  const startedMs = performance.now();
  const response = await fetch(url);
  await response.arrayBuffer();
  return { ms: performance.now() - startedMs, status: response.status };
}

/** Waits until a function has no instance and the pool has had time to be full. */
async function atZero(ebb: MeasuredEbb, name: string): Promise<void> {
  while ((await ebb.client.functions.instances({ namespace: 'openfaas-fn', name })).length > 0) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await new Promise((resolve) => setTimeout(resolve, REFILL_MS));
}

/** Containers that were made for an installation since a moment, those that are gone again included. */
async function countCreates(docker: Dockerode, ebb: MeasuredEbb, since: number): Promise<number> {
  const { installation } = await ebb.client.version();
  const stream = await docker.getEvents({
    since,
    until: Date.now() / 1000,
    filters: { type: ['container'], event: ['create'], label: [`ebb.installation=${installation}`] },
  });
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text.split('\n').filter(Boolean).length;
}
