import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { cpuMs, type Load, load, median } from './measure.ts';
import { printTable } from './print-table.ts';
import type { Report } from './report.ts';
import { instanceSocket, startEbb } from './start-ebb.ts';
import { startNginx } from './start-nginx.ts';

const PLAIN = fileURLToPath(new URL('../functions/plain', import.meta.url));

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
export async function benchWarm(
  report: Report,
  options: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  await using ebb = await startEbb('process');
  await ebb.deploy('plain', await ebb.upload(PLAIN), { concurrency: 1000, scale: { min: 1, max: 1 } });
  await (await fetch(`${ebb.url}/function/plain`)).text();
  await using nginx = await startNginx(instanceSocket(ebb.dataDir));
  const direct = fork(new URL('./direct-child.ts', import.meta.url));
  const [{ url: directUrl }] = (await once(direct, 'message')) as [{ url: string }];
  const targets: Target[] = [
    { name: 'function directly', url: directUrl, pids: [] },
    { name: 'nginx, 1 worker', url: nginx.url, pids: nginx.pids },
    { name: 'Ebb', url: `${ebb.url}/function/plain`, pids: [ebb.pid] },
  ];
  for (const connections of [1, 32]) {
    const results = new Map<string, { load: Load; cpuUs: number }[]>();
    for (const { url } of targets) await load(url, { connections, seconds: 1 });
    for (let round = 0; round < options.rounds; round += 1) {
      for (const { name, url, pids } of targets) {
        const before = cpuMs(pids);
        const result = await load(url, { connections, seconds: options.seconds });
        if (result.errors > 0) throw new Error(`${name} answered ${result.errors} requests with an error`);
        const cpuUs = ((cpuMs(pids) - before) * 1000) / result.requests;
        results.set(name, [...(results.get(name) ?? []), { load: result, cpuUs }]);
      }
    }
    if (connections === 32) addBars(report, results);
    const rate = (name: string) => median((results.get(name) ?? []).map((result) => result.load.requestsPerSecond));
    printTable(
      `Warm path, ${connections} connection${connections === 1 ? '' : 's'}`,
      ['target', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs/request', 'of nginx'],
      targets.map(({ name, pids }) => {
        const all = results.get(name) ?? [];
        return [
          name,
          rate(name).toFixed(0),
          median(all.map((result) => result.load.p50Ms)).toFixed(3),
          median(all.map((result) => result.load.p99Ms)).toFixed(2),
          pids.length === 0 ? '–' : median(all.map((result) => result.cpuUs)).toFixed(1),
          (rate(name) / rate('nginx, 1 worker')).toFixed(2),
        ];
      }),
    );
  }
  direct.kill();
}

/** The bars of the warm path, from the rounds at 32 connections. */
function addBars(report: Report, results: ReadonlyMap<string, readonly { load: Load; cpuUs: number }[]>): void {
  const of = (name: string) => results.get(name) ?? [];
  const nginx = of('nginx, 1 worker');
  const ebb = of('Ebb');
  const rates = (all: typeof nginx) => all.map((one) => one.load.requestsPerSecond);
  const cpus = (all: typeof nginx) => all.map((one) => one.cpuUs);
  report.add({
    measure: "warm throughput, 32 connections, of nginx's",
    value: median(rates(ebb)) / median(rates(nginx)),
    unit: '',
    bar: { atLeast: 0.65 },
    detail: { nginx: rates(nginx), ebb: rates(ebb) },
  });
  report.add({
    measure: "CPU per warm request, of nginx's",
    value: median(cpus(ebb)) / median(cpus(nginx)),
    unit: '',
    bar: { atMost: 1.5 },
    detail: { nginx: cpus(nginx), ebb: cpus(ebb) },
  });
}
