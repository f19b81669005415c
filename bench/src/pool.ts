import type Dockerode from 'dockerode';
import { connectDocker } from './docker.ts';
import { median, percentile } from './measure.ts';
import { RawConnection } from './raw-connection.ts';
import type { Report } from './report.ts';
import type { ColdCall } from './results.ts';
import { functionDir, type MeasuredEbb, NAMESPACE, startEbb } from './start-ebb.ts';
import { coldCall } from './timed-call.ts';
import { sleep, untilZero } from './wait.ts';

const BURST = 200;
const MAX_INSTANCES = 20;
/** Time the pool gets to be full again before the next measurement. */
const REFILL_MS = 800;
/** How often the last decision is asked for during a burst. */
const WATCH_EVERY_MS = 3;

/**
 * The cold start from the warm pool on Docker, the same without a pool, and many first calls to a function at zero at
 * once. The first call of a version that was deployed counts like any other.
 */
export async function benchPool(report: Report, options: { readonly rounds: number }): Promise<void> {
  const docker = await connectDocker(report);
  if (!docker) return;
  const misses = await missThePool(Math.ceil(options.rounds / 3));
  const missMs = median(misses.map(({ totalMs }) => totalMs));
  report.add({
    measure: 'cold start when no spare is ready, p50',
    value: missMs,
    unit: 'ms',
    detail: { ms: misses.map(({ totalMs }) => totalMs) },
  });
  report.addCold({ path: 'pool miss', calls: misses });

  await using ebb = await startEbb('docker');
  const code = await ebb.upload(functionDir('small'));
  await ebb.deploy('small', code, { scale: { min: 0, max: 1, idle: '300ms' } });
  const cold: ColdCall[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    await untilZero(ebb, 'small');
    await sleep(REFILL_MS);
    cold.push(await coldCall(ebb, 'small'));
  }
  report.addCold({ path: 'pool hit', calls: cold.filter(({ start }) => start?.spare === 'used') });
  const times = cold.map(({ totalMs }) => totalMs);
  for (const [name, share, atMost] of [
    ['p50', 0.5, 25],
    ['p95', 0.95, 45],
  ] as const) {
    report.add({
      measure: `cold start from the pool on Docker, TypeScript with a small dependency, ${name}`,
      value: percentile(times, share),
      unit: 'ms',
      bar: { atMost },
      detail: { ms: times },
    });
  }
  await burst(report, docker, ebb, code, missMs);
}

/** Cold calls of the same function on a server that keeps no spares, so that each has its instance made. */
async function missThePool(rounds: number): Promise<ColdCall[]> {
  await using ebb = await startEbb('docker', { EBB_POOL_SIZE: '0' });
  await ebb.deploy('small', await ebb.upload(functionDir('small')), { scale: { min: 0, max: 1, idle: '300ms' } });
  const calls: ColdCall[] = [];
  // The first round warms the page cache.
  for (let round = -1; round < rounds; round += 1) {
    await untilZero(ebb, 'small');
    const call = await coldCall(ebb, 'small');
    if (round >= 0) calls.push(call);
  }
  return calls;
}

/** Connections are opened before, so that the calls come at once. */
async function burst(report: Report, docker: Dockerode, ebb: MeasuredEbb, code: string, missMs: number): Promise<void> {
  await ebb.deploy('burst', code, { concurrency: 10, scale: { min: 0, max: MAX_INSTANCES, idle: '2s' } });
  await untilZero(ebb, 'burst');
  await sleep(REFILL_MS);
  const connections = Array.from({ length: BURST }, () => new RawConnection(new URL(`${ebb.url}/function/burst`)));
  await Promise.all(connections.map((connection) => connection.connected()));
  const since = Date.now() / 1000;
  const watch = await watchDecisions(ebb, 'burst');
  const startedMs = performance.now();
  const answers = await Promise.all(
    connections.map(
      (connection) =>
        new Promise<{ readonly ms: number; readonly isGood: boolean }>((resolve) => {
          connection.send((status) => resolve({ ms: performance.now() - startedMs, isGood: status === 200 }));
        }),
    ),
  );
  const decisions = await watch.end();
  for (const connection of connections) connection.close();
  const times = answers.map(({ ms }) => ms);
  const about = `${BURST} first calls at once, concurrency 10, at most ${MAX_INSTANCES} instances`;
  report.add({
    measure: `${about}: answered well`,
    value: answers.filter(({ isGood }) => isGood).length,
    unit: '',
    bar: { atLeast: BURST },
  });
  report.add({
    measure: `${about}: p99, of one cold start when no spare is ready`,
    value: percentile(times, 0.99) / missMs,
    unit: '',
    bar: { atMost: 4 },
    detail: { ms: times.toSorted((a, b) => a - b), missMs },
  });
  report.add({
    measure: `${about}: decisions to scale up`,
    value: decisions.length,
    unit: '',
    // None would mean that it was missed.
    bar: { atLeast: 1, atMost: 1 },
    detail: {
      desired: decisions.map(({ desired }) => desired),
      reasons: decisions.map(({ reason }) => reason).join('; '),
    },
  });
  report.add({
    measure: `${about}: containers created`,
    value: await countCreates(docker, ebb, since),
    unit: '',
    bar: { atMost: MAX_INSTANCES },
  });
}

/** Looks at the last change of a function's size again and again, and gathers those that asked for more than before. */
async function watchDecisions(ebb: MeasuredEbb, name: string) {
  const seen = new Map<string, { readonly desired: number; readonly reason: string }>();
  let isOver = false;
  const look = async () => {
    const { scaling } = await ebb.client.functions.get({ namespace: NAMESPACE, name });
    if (scaling) seen.set(`${scaling.at} ${scaling.desired}`, scaling);
  };
  // Before the first call is sent: a decision seen then is not one of the burst's.
  await look();
  const before = seen.size;
  const watching = (async () => {
    while (!isOver) {
      await look();
      await sleep(WATCH_EVERY_MS);
    }
    await look();
    const all = [...seen.values()].slice(before);
    return all.filter(({ desired }, index) => desired > (all[index - 1]?.desired ?? 0));
  })();
  return {
    end: () => {
      isOver = true;
      return watching;
    },
  };
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
