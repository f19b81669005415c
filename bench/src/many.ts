import { fileURLToPath } from 'node:url';
import { formatBytes } from '@ebb/contract';
import { load, median, residentBytes } from './measure.ts';
import { printTable } from './print-table.ts';
import { startEbb } from './start-ebb.ts';

const PLAIN = fileURLToPath(new URL('../functions/plain', import.meta.url));
const FUNCTIONS = 1000;
const DEPLOYS_AT_ONCE = 16;

/** What a thousand deployed functions at zero cost: memory of the server, and throughput of one that serves. */
export async function benchMany(options: { readonly seconds: number; readonly rounds: number }): Promise<void> {
  await using one = await startEbb('process');
  await using many = await startEbb('process');
  const code = await many.upload(PLAIN);
  const startedMs = performance.now();
  const names = Array.from({ length: FUNCTIONS - 1 }, (_, index) => `function-${index}`);
  const deployRest = async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) await many.deploy(name, code, {}, false);
  };
  await Promise.all(Array.from({ length: DEPLOYS_AT_ONCE }, deployRest));
  const deployMs = performance.now() - startedMs;
  const atZeroBytes = residentBytes(many.pid);
  for (const ebb of [one, many]) {
    await ebb.deploy('plain', await ebb.upload(PLAIN), { concurrency: 1000, scale: { min: 1, max: 1 } });
    await load(`${ebb.url}/function/plain`, { connections: 32, seconds: 1 });
  }

  const rates = new Map<typeof one, number[]>([
    [one, []],
    [many, []],
  ]);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [ebb, seen] of rates) {
      const result = await load(`${ebb.url}/function/plain`, { connections: 32, seconds: options.seconds });
      seen.push(result.requestsPerSecond);
    }
  }
  const base = median(rates.get(one) ?? []);
  printTable(
    `${FUNCTIONS} functions at zero (deployed in ${(deployMs / 1000).toFixed(1)} s)`,
    ['functions', 'requests/s', 'of one', 'RSS at zero', 'RSS after load'],
    [...rates].map(([ebb, seen]) => [
      ebb === one ? '1' : String(FUNCTIONS),
      median(seen).toFixed(0),
      (median(seen) / base).toFixed(2),
      ebb === one ? '–' : formatBytes(atZeroBytes),
      formatBytes(residentBytes(ebb.pid)),
    ]),
  );
}
