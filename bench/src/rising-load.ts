import { median } from './measure.ts';
import { pacedLoad } from './paced-load.ts';
import { printTable } from './print-table.ts';
import type { Report } from './report.ts';
import type { LoadStep } from './results.ts';

/** Offered load, as parts of what the slower of nginx and Ebb can take. The bar is for half of it. */
const LOADS = [0.1, 0.25, 0.5, 0.75];
const HALF = 0.5;

/** Latency while requests come at rates both proxies can take, in turns. */
export async function addRisingLoad(
  report: Report,
  urls: { readonly nginx: string; readonly ebb: string },
  capacity: number,
  options: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  const rising = Object.entries({ nginx: urls.nginx, Ebb: urls.ebb }).map(([name, url]) => ({
    target: name,
    url,
    steps: [] as LoadStep[],
    halfP99Ms: [] as number[],
  }));
  for (const part of LOADS) {
    const rate = Math.round(capacity * part);
    for (let round = 0; round < (part === HALF ? Math.max(7, options.rounds) : 1); round += 1) {
      for (const { url, steps, halfP99Ms } of rising) {
        const step = await pacedLoad({ url, rate, seconds: options.seconds });
        if (round === 0) steps.push(step);
        if (part === HALF) halfP99Ms.push(step.p99Ms);
      }
    }
  }
  report.series.rising = rising.map(({ target, steps }) => ({ target, steps }));
  printTable(
    `Warm path at fixed rates (capacity ${capacity.toFixed(0)} requests/s)`,
    ['target', 'offered/s', 'good/s', 'p50 ms', 'p99 ms'],
    rising.flatMap(({ target, steps }) =>
      steps.map(({ offered, goodput, p50Ms, p99Ms }) => [
        target,
        offered.toFixed(0),
        goodput.toFixed(0),
        ...[p50Ms, p99Ms].map((ms) => ms.toFixed(2)),
      ]),
    ),
  );
  const halfOf = (name: string) => rising.find(({ target }) => target === name)?.halfP99Ms ?? [];
  report.add({
    measure: "p99 at half load, over nginx's",
    value: median(halfOf('Ebb')) - median(halfOf('nginx')),
    unit: 'ms',
    bar: { atMost: 1 },
    detail: {
      offered: Math.round(capacity * HALF),
      nginxMs: halfOf('nginx'),
      ebbMs: halfOf('Ebb'),
    },
  });
}
