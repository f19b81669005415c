import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load, median } from './measure.ts';
import { pacedLoad } from './paced-load.ts';
import type { Report } from './report.ts';
import { functionDir, instanceSockets, startEbb } from './start-ebb.ts';
import { startNginx } from './start-nginx.ts';

const FUNCTIONS = 100;
/** Every function's process has to see some thousand calls before its code is compiled. */
const WARM_UP_SECONDS = 30;

/**
 * Throughput when the traffic goes to a hundred functions by turns, beside the same traffic to one of them: at the same
 * rate, and as fast as a generator goes that chooses its targets by a script, which takes CPU of its own; the latter
 * also through nginx, to see what a hundred processes on this machine cost anybody.
 */
export async function benchMixed(
  report: Report,
  options: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  await using ebb = await startEbb('process', { EBB_MAX_INSTANCES: '200' });
  const code = await ebb.upload(functionDir('plain'));
  const names = Array.from({ length: FUNCTIONS }, (_, index) => `mixed-${index}`);
  const sockets = new Map<string, string>();
  for (const name of names) {
    await ebb.deploy(name, code, { concurrency: 1000, scale: { min: 1, max: 1, freezeAfter: 'off' } });
    sockets.set(`/function/${name}`, (await instanceSockets(ebb, name))[0] ?? '');
  }
  await using nginx = await startNginx(sockets);
  const directory = await mkdtemp('/tmp/ebb-bench-mixed-');
  // The same work for the generator, whether the turns are of one function or of all.
  const turns = async (count: number) => {
    const path = join(directory, `${count}.lua`);
    const target = `"/function/mixed-" .. (i % ${count})`;
    await writeFile(path, `local i = 0\nrequest = function() i = i + 1; return wrk.format("GET", ${target}) end\n`);
    return path;
  };
  const script = await turns(FUNCTIONS);
  const ofOneScript = await turns(1);
  const servers = { ebb: ebb.url, nginx: nginx.url.replace(/\/$/, '') };
  const rates = {
    ebbOne: [] as number[],
    ebbMany: [] as number[],
    nginxOne: [] as number[],
    nginxMany: [] as number[],
  };
  await load(servers.nginx, { connections: 32, seconds: WARM_UP_SECONDS, script });
  for (let round = -1; round < options.rounds; round += 1) {
    const seconds = round < 0 ? 1 : options.seconds;
    for (const server of ['ebb', 'nginx'] as const) {
      const one = await load(servers[server], { connections: 32, seconds, script: ofOneScript });
      const many = await load(servers[server], { connections: 32, seconds, script });
      const errors = one.errors + many.errors;
      if (errors > 0) throw new Error(`${server} answered ${errors} requests with an error`);
      if (round < 0) continue;
      rates[`${server}One`].push(one.requestsPerSecond);
      rates[`${server}Many`].push(many.requestsPerSecond);
    }
  }
  await rm(directory, { recursive: true });
  await addSameRate(report, ebb.url, median(rates.ebbOne) / 2, options);
  const ofOne = median(rates.ebbMany) / median(rates.ebbOne);
  const nginxOfOne = median(rates.nginxMany) / median(rates.nginxOne);
  report.add({
    measure: `${FUNCTIONS} functions under mixed traffic that nothing paces, of the throughput of one`,
    value: ofOne,
    unit: '',
    detail: rates,
  });
  report.add({ measure: `the same through nginx to the same ${FUNCTIONS} processes`, value: nginxOfOne, unit: '' });
  report.add({
    measure: `throughput of the ${FUNCTIONS} functions, of nginx's to the same`,
    value: median(rates.ebbMany) / median(rates.nginxMany),
    unit: '',
  });
}

/** Good answers of all functions by turns and of one of them, while requests come at the same rate. */
async function addSameRate(
  report: Report,
  url: string,
  rate: number,
  options: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  const pathsOf = (count: number) =>
    Array.from({ length: FUNCTIONS }, (_, index) => `/function/mixed-${index % count}`);
  const good = { one: [] as number[], many: [] as number[] };
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [name, count] of [
      ['one', 1],
      ['many', FUNCTIONS],
    ] as const) {
      const step = await pacedLoad({ url, paths: pathsOf(count), rate, seconds: options.seconds });
      good[name].push(step.goodput);
    }
  }
  report.add({
    measure: `${FUNCTIONS} functions under mixed traffic, of the throughput of one at the same rate, half of what one takes`,
    value: median(good.many) / median(good.one),
    unit: '',
    bar: { atLeast: 0.5 },
    detail: { offered: rate, ...good },
  });
}
