import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpuMs, load, median } from './measure.ts';
import { printTable } from './print-table.ts';
import type { Report } from './report.ts';
import type { ClosedLoopSeries } from './results.ts';
import { addRisingLoad } from './rising-load.ts';
import { functionDir, instanceSockets, startEbb } from './start-ebb.ts';
import { startNginx } from './start-nginx.ts';

/** Never frozen: nginx would not wake it. */
const SPEC = { concurrency: 1000, scale: { min: 1, max: 1, freezeAfter: 'off' as const } };
const DIRECT = 'the function directly';
const NGINX = 'nginx';
const EBB = 'Ebb';

interface Options {
  readonly seconds: number;
  readonly rounds: number;
}

interface Target {
  readonly name: string;
  readonly url: string;
  /** The processes between client and function. */
  readonly pids: readonly number[];
}

/**
 * The warm path beside nginx: the function directly, through nginx over the instance's own unix socket, and through
 * Ebb over the same socket to the same instance. Rounds alternate, medians are compared.
 */
export async function benchWarm(report: Report, options: Options): Promise<void> {
  await using ebb = await startEbb('process');
  await ebb.deploy('plain', await ebb.upload(functionDir('plain')), SPEC);
  const [socket = ''] = await instanceSockets(ebb, 'plain');
  await using nginx = await startNginx(socket);
  const direct = fork(new URL('./direct-child.ts', import.meta.url));
  try {
    const [{ url: directUrl }] = (await once(direct, 'message')) as [{ url: string }];
    const targets: Target[] = [
      { name: DIRECT, url: directUrl, pids: [] },
      { name: NGINX, url: nginx.url, pids: nginx.pids },
      { name: EBB, url: `${ebb.url}/function/plain`, pids: [ebb.pid] },
    ];
    const series = [...(await closedLoop(targets, 1, options)), ...(await closedLoop(targets, 32, options))];
    report.series.warm = series;
    addClosedLoop(report, series);
    const capacity = Math.min(...[NGINX, EBB].map((name) => median(seriesOf(series, name, 32).requestsPerSecond)));
    await addRisingLoad(report, { nginx: nginx.url, ebb: `${ebb.url}/function/plain` }, capacity, options);
  } finally {
    direct.kill();
  }
}

async function closedLoop(
  targets: readonly Target[],
  connections: number,
  options: Options,
): Promise<ClosedLoopSeries[]> {
  const all = targets.map((target) => ({
    target,
    connections,
    requestsPerSecond: [] as number[],
    p50Ms: [] as number[],
    p99Ms: [] as number[],
    cpuUs: [] as number[],
  }));
  for (const { url } of targets) await load(url, { connections, seconds: 1 });
  for (let round = 0; round < options.rounds; round += 1) {
    for (const { target, requestsPerSecond, p50Ms, p99Ms, cpuUs } of all) {
      const before = cpuMs(target.pids);
      const result = await load(target.url, { connections, seconds: options.seconds });
      if (result.errors > 0) throw new Error(`${target.name} answered ${result.errors} requests with an error`);
      requestsPerSecond.push(result.requestsPerSecond);
      p50Ms.push(result.p50Ms);
      p99Ms.push(result.p99Ms);
      if (target.pids.length > 0) cpuUs.push(((cpuMs(target.pids) - before) * 1000) / result.requests);
    }
  }
  const series = all.map((one) => ({ ...one, target: one.target.name }));
  const nginxRate = median(seriesOf(series, NGINX, connections).requestsPerSecond);
  printTable(
    `Warm path, ${connections} connection${connections === 1 ? '' : 's'}`,
    ['target', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs/request', 'of nginx'],
    series.map(({ target, requestsPerSecond, p50Ms, p99Ms, cpuUs }) => [
      target,
      median(requestsPerSecond).toFixed(0),
      median(p50Ms).toFixed(3),
      median(p99Ms).toFixed(2),
      cpuUs.length === 0 ? '–' : median(cpuUs).toFixed(1),
      (median(requestsPerSecond) / nginxRate).toFixed(2),
    ]),
  );
  return series;
}

/** The measures of callers that wait for their answers. */
function addClosedLoop(report: Report, series: readonly ClosedLoopSeries[]): void {
  const [nginx, ebb] = [seriesOf(series, NGINX, 32), seriesOf(series, EBB, 32)];
  report.add({
    measure: "warm throughput, 32 connections, of nginx's",
    value: median(ebb.requestsPerSecond) / median(nginx.requestsPerSecond),
    unit: '',
    bar: { atLeast: 0.65 },
    detail: { nginx: nginx.requestsPerSecond, ebb: ebb.requestsPerSecond },
  });
  report.add({
    measure: "CPU per warm request, of nginx's",
    value: median(ebb.cpuUs) / median(nginx.cpuUs),
    unit: '',
    bar: { atMost: 1.5 },
    detail: { nginxUs: nginx.cpuUs, ebbUs: ebb.cpuUs },
  });
  const [alone, added] = [seriesOf(series, DIRECT, 1), seriesOf(series, EBB, 1)];
  report.add({
    measure: 'added p50 at one connection, against calling the function directly',
    value: median(added.p50Ms) - median(alone.p50Ms),
    unit: 'ms',
    bar: { atMost: 0.2 },
    detail: { directMs: alone.p50Ms, nginxMs: seriesOf(series, NGINX, 1).p50Ms, ebbMs: added.p50Ms },
  });
}

function seriesOf(series: readonly ClosedLoopSeries[], target: string, connections: number): ClosedLoopSeries {
  const found = series.find((one) => one.target === target && one.connections === connections);
  if (!found) throw new Error(`${target} was not measured over ${connections} connections`);
  return found;
}
