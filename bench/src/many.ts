import { load, median, residentBytes } from './measure.ts';
import type { Report } from './report.ts';
import { functionDir, type MeasuredEbb, startEbb } from './start-ebb.ts';

const DEPLOYS_AT_ONCE = 16;
const FEWER = 1000;

/** What thousands of deployed functions at zero cost: memory of the server, and throughput of one that serves. */
export async function benchMany(
  report: Report,
  options: { readonly seconds: number; readonly rounds: number; readonly functions: number },
): Promise<void> {
  await using one = await startEbb('process');
  await using many = await startEbb('process');
  const code = await many.upload(functionDir('plain'));
  const startedMs = performance.now();
  let count = 0;
  for (const upTo of [FEWER, options.functions].filter((upTo) => upTo <= options.functions)) {
    await deployAll(many, code, count, upTo);
    count = upTo;
    report.add({
      measure: `${upTo.toLocaleString('en')} deployed functions at zero: RSS of the server`,
      value: residentBytes(many.pid) / 2 ** 20,
      unit: 'MiB',
      bar: { atMost: 300 },
      detail: { deployedAfterSeconds: (performance.now() - startedMs) / 1000 },
    });
    if (upTo === options.functions) break;
  }
  const rates = new Map<MeasuredEbb, number[]>();
  for (const ebb of [one, many]) {
    await ebb.deploy('plain', await ebb.upload(functionDir('plain')), {
      concurrency: 1000,
      scale: { min: 1, max: 1, freezeAfter: 'off' },
    });
    await load(`${ebb.url}/function/plain`, { connections: 32, seconds: 1 });
    rates.set(ebb, []);
  }
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [ebb, seen] of rates) {
      const result = await load(`${ebb.url}/function/plain`, { connections: 32, seconds: options.seconds });
      seen.push(result.requestsPerSecond);
    }
  }
  const [ofOne = [], ofMany = []] = [rates.get(one), rates.get(many)];
  report.add({
    measure: `${options.functions.toLocaleString('en')} deployed functions: throughput of one, of a server with one function`,
    value: median(ofMany) / median(ofOne),
    unit: '',
    bar: { atLeast: 0.9 },
    detail: { one: ofOne, many: ofMany },
  });
}

async function deployAll(ebb: MeasuredEbb, code: string, from: number, upTo: number): Promise<void> {
  let next = from;
  const deployRest = async () => {
    while (next < upTo) {
      next += 1;
      await ebb.deploy(`function-${next}`, code, {}, false);
    }
  };
  await Promise.all(Array.from({ length: DEPLOYS_AT_ONCE }, deployRest));
}
