import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load, median } from './measure.ts';
import type { Report } from './report.ts';
import { startEbb } from './start-ebb.ts';

const PLAIN = fileURLToPath(new URL('../functions/plain', import.meta.url));
const FUNCTIONS = 100;

/** Throughput when the traffic goes to a hundred functions by turns, beside the same traffic to one of them. */
export async function benchMixed(
  report: Report,
  options: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  await using ebb = await startEbb('process', { EBB_MAX_INSTANCES: '200' });
  const code = await ebb.upload(PLAIN);
  const names = Array.from({ length: FUNCTIONS }, (_, index) => `mixed-${index}`);
  for (const name of names) await ebb.deploy(name, code, { concurrency: 1000, scale: { min: 1, max: 1 } });
  const directory = await mkdtemp('/tmp/ebb-bench-mixed-');
  const script = join(directory, 'mixed.lua');
  await writeFile(
    script,
    `local i = 0
request = function() i = i + 1; return wrk.format("GET", "/function/mixed-" .. (i % ${FUNCTIONS})) end\n`,
  );
  const rates: { one: number[]; many: number[] } = { one: [], many: [] };
  for (let round = -1; round < options.rounds; round += 1) {
    const seconds = round < 0 ? 1 : options.seconds;
    const one = await load(`${ebb.url}/function/mixed-0`, { connections: 32, seconds });
    const many = await load(ebb.url, { connections: 32, seconds, script });
    if (one.errors + many.errors > 0)
      throw new Error(`${one.errors + many.errors} requests were answered with an error`);
    if (round < 0) continue;
    rates.one.push(one.requestsPerSecond);
    rates.many.push(many.requestsPerSecond);
  }
  await rm(directory, { recursive: true });
  report.add({
    measure: `${FUNCTIONS} functions under mixed traffic, of the throughput of one`,
    value: median(rates.many) / median(rates.one),
    unit: '',
    bar: { atLeast: 0.5 },
    detail: rates,
  });
}
