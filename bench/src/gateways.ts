import { readFileSync } from 'node:fs';
import { cpuMs, load, median } from './measure.ts';
import { printTable } from './print-table.ts';
import type { Report } from './report.ts';
import { functionDir, type MeasuredEbb, startEbb } from './start-ebb.ts';

/** As many as make it worth to have more than one process: each takes what is there in one go, which costs less a call. */
const MANY = 128;
const FEW = 32;

/** What a call costs one process and two gateways, all processes of the server together. Rounds alternate. */
export async function benchGateways(
  report: Report,
  options: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  await using one = await startEbb('process');
  await using two = await startEbb('process', { EBB_GATEWAYS: '2' });
  const servers = [
    { name: 'one process', ebb: one, pids: [one.pid] },
    { name: 'two gateways', ebb: two, pids: [two.pid, ...gatewaysOf(two.pid)] },
  ];
  const cases = [
    { kind: 'free', connections: MANY, concurrency: 1000 },
    { kind: 'free', connections: FEW, concurrency: 1000 },
    { kind: 'scarce', connections: FEW, concurrency: 4 },
  ];
  for (const { kind, connections, concurrency } of cases) {
    const spec = { concurrency, scale: { min: 1, max: 1, freezeAfter: 'off' as const } };
    const measured = new Map<string, { cpuUs: number; rate: number; p99Ms: number }[]>();
    for (const { ebb } of servers) {
      await ebb.deploy(kind, await ebb.upload(functionDir('plain')), spec);
      await load(`${ebb.url}/function/${kind}`, { connections, seconds: 1 });
    }
    for (let round = 0; round < options.rounds; round += 1) {
      for (const { name, ebb, pids } of servers) {
        const before = cpuMs(pids);
        const result = await load(`${ebb.url}/function/${kind}`, {
          connections,
          seconds: options.seconds,
        });
        if (result.errors > 0) throw new Error(`${name} answered ${result.errors} requests with an error`);
        const cpuUs = ((cpuMs(pids) - before) * 1000) / result.requests;
        const all = measured.get(name) ?? [];
        all.push({ cpuUs, rate: result.requestsPerSecond, p99Ms: result.p99Ms });
        measured.set(name, all);
      }
    }
    const cpuOf = (name: string) => median((measured.get(name) ?? []).map(({ cpuUs }) => cpuUs));
    printTable(
      `Gateways, ${connections} connections, ${kind} slots`,
      ['server', 'requests/s', 'p99 ms', 'CPU µs/request', 'of one process'],
      servers.map(({ name }) => {
        const all = measured.get(name) ?? [];
        return [
          name,
          median(all.map(({ rate }) => rate)).toFixed(0),
          median(all.map(({ p99Ms }) => p99Ms)).toFixed(2),
          cpuOf(name).toFixed(1),
          (cpuOf(name) / cpuOf('one process')).toFixed(2),
        ];
      }),
    );
    report.add({
      measure: `CPU per request, two gateways / one process, ${connections} connections, ${kind} slots`,
      value: cpuOf('two gateways') / cpuOf('one process'),
      unit: '',
      // With few connections each process has little to take in one go, and scarce slots travel: measured to be known.
      ...(connections === MANY ? { bar: { atMost: 1.1 } } : {}),
    });
  }
  await addExactness(report, two, options.seconds);
}

/** Calls of a function that takes one at a time, and answers with an error if it is given two. */
async function addExactness(report: Report, ebb: MeasuredEbb, seconds: number): Promise<void> {
  await ebb.deploy('exclusive', await ebb.upload(functionDir('exclusive')), {
    concurrency: 1,
    scale: { min: 2, max: 2 },
  });
  const { errors, requests } = await load(`${ebb.url}/function/exclusive`, { connections: FEW, seconds });
  report.add({
    measure: 'two gateways, concurrency 1: calls that failed or met another one in their instance',
    value: errors,
    unit: '',
    bar: { atMost: 0 },
    detail: { calls: requests },
  });
}

/** The gateway processes among a server's children. */
function gatewaysOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return children.filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('gateway-process'));
}
