import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { cpuMs, load, median } from './measure.ts';
import { printTable } from './print-table.ts';
import type { Report } from './report.ts';
import { functionDir, type MeasuredEbb, startEbb } from './start-ebb.ts';

/** As many as make it worth to have more than one process. */
const MANY = 128;
const FEW = 32;

/**
 * What a call costs one process and two gateways, all processes of the server together. Rounds alternate.
 *
 * A process under load takes what has come in one go, which costs less a call; one that idles is woken for each. So
 * the comparison with a bar gives both servers the same single core, which either keeps busy: what is left is what
 * sharing slots and connections costs. Without that, two gateways on a machine with two cores, which the function and
 * the generator need as well, are compared with one that is at its limit.
 */
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
    { kind: 'free', connections: MANY, concurrency: 1000, cores: 'one core' },
    { kind: 'free', connections: MANY, concurrency: 1000, cores: 'all cores' },
    { kind: 'free', connections: FEW, concurrency: 1000, cores: 'all cores' },
    { kind: 'scarce', connections: FEW, concurrency: 4, cores: 'all cores' },
  ];
  for (const { kind, connections, concurrency, cores } of cases) {
    const spec = { concurrency, scale: { min: 1, max: 1, freezeAfter: 'off' as const } };
    const isBusy = cores === 'one core';
    const measured = new Map<string, { cpuUs: number; rate: number; p99Ms: number }[]>();
    for (const { ebb, pids } of servers) {
      await ebb.deploy(kind, await ebb.upload(functionDir('plain')), spec);
      await load(`${ebb.url}/function/${kind}`, { connections, seconds: 1 });
      for (const pid of pids) pin(pid, isBusy ? '0' : `0-${availableParallelism() - 1}`);
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
      `Gateways on ${cores}, ${connections} connections, ${kind} slots`,
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
      measure: `CPU per request, two gateways / one process, on ${cores}, ${connections} connections, ${kind} slots`,
      value: cpuOf('two gateways') / cpuOf('one process'),
      unit: '',
      // The others are measured to be known: idle processes are woken more often, and scarce slots travel.
      ...(isBusy ? { bar: { atMost: 1.1 } } : {}),
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

/** Has a running process, with all its threads, use some cores only: `0`, or a range such as `0-3`. */
function pin(pid: number, cores: string): void {
  execFileSync('taskset', ['-acp', cores, String(pid)], { stdio: 'ignore' });
}

/** The gateway processes among a server's children. */
function gatewaysOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return children.filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('gateway-process'));
}
