import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load, median } from '../measure.ts';
import { pacedLoad } from '../paced-load.ts';
import { printTable } from '../print-table.ts';
import type { Report } from '../report.ts';
import { functionDir, startEbb } from '../start-ebb.ts';

const CLIENTS = 64;
const BODY_BYTES = 1024;
/** Accepts a second that clients shall get within a time, and what they ask for: their connections begin one by one. */
const WANTED = 8_000;
const PACE = 9_000;
const RAW = 'raw SQLite inserts in groups of 64';
const DRIVER = 'the queue driver, 64 clients';
const HTTP = 'accepted over HTTP, 64 clients';

interface Rate {
  readonly perSecond: number;
  readonly p99Ms?: number;
  /** What one call takes in the rows of the queue. */
  readonly rowBytes?: number;
}

/**
 * Calls accepted durably: through the queue driver, as the same bytes inserted by SQLite itself, and by POST to the server.
 * The same bytes are all that the rows of a call hold: its body, what is kept of its request, and its state. Written plainly
 * that is one row and one index, where the queue has two rows and three indexes. All on the same disk, by turns. Nothing is delivered meanwhile: the calls are for an hour later.
 */
export async function benchAccepts(
  report: Report,
  { seconds, rounds }: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  const directory = await mkdtemp('/tmp/ebb-bench-accepts-');
  await using ebb = await startEbb('process');
  await ebb.deploy('stamp', await ebb.upload(functionDir('stamp')));
  const script = join(directory, 'post.lua');
  await writeFile(
    script,
    `wrk.method = "POST"\nwrk.body = string.rep("x", ${BODY_BYTES})\nwrk.headers["Content-Type"] = "text/plain"\nwrk.headers["X-Ebb-Delay"] = "1h"\n`,
  );
  const paced: number[] = [];
  const all: Record<string, Rate[]> = { [RAW]: [], [DRIVER]: [], [HTTP]: [] };
  try {
    for (let round = 0; round < rounds; round += 1) {
      const file = (name: string) => join(directory, `${name}-${round}.db`);
      const driver = await inChild('driver', [file('driver'), BODY_BYTES, CLIENTS, seconds]);
      all[DRIVER]?.push(driver);
      all[RAW]?.push(await inChild('raw-inserts', [file('raw'), driver.rowBytes ?? BODY_BYTES, CLIENTS, seconds]));
      const result = await load(`${ebb.url}/async-function/stamp`, { connections: CLIENTS, seconds, script });
      if (result.errors > 0) throw new Error(`${result.errors} calls were not accepted`);
      all[HTTP]?.push({ perSecond: result.requestsPerSecond, p99Ms: result.p99Ms });
      const step = await pacedLoad({
        url: `${ebb.url}/async-function/stamp`,
        rate: PACE,
        connections: CLIENTS,
        seconds,
        body: 'x'.repeat(BODY_BYTES),
        headers: ['Content-Type: text/plain', 'X-Ebb-Delay: 1h'],
        status: 202,
      });
      if (step.errors > 0) throw new Error(`${step.errors} calls were not accepted`);
      if (step.goodput < WANTED) throw new Error(`only ${step.goodput.toFixed(0)} calls a second were accepted`);
      paced.push(step.p99Ms);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
  const ratesOf = (name: string) => (all[name] ?? []).map(({ perSecond }) => perSecond);
  const rate = (name: string) => median(ratesOf(name));
  const p99 = (name: string) => median((all[name] ?? []).map(({ p99Ms = 0 }) => p99Ms));
  printTable(
    `Durable accepts of ${BODY_BYTES} bytes`,
    ['by', 'accepts/s', 'p99 ms', 'of raw'],
    Object.keys(all).map((name) => [
      name,
      rate(name).toFixed(0),
      name === RAW ? '–' : p99(name).toFixed(1),
      (rate(name) / rate(RAW)).toFixed(2),
    ]),
  );
  report.add({ measure: 'durable accepts over HTTP', value: rate(HTTP), unit: 'requests/s', bar: { atLeast: 8000 } });
  report.add({
    measure: 'time to accept at 9,000 a second over HTTP, p99',
    value: median(paced),
    unit: 'ms',
    bar: { atMost: 20 },
    detail: { paced },
  });
  report.add({ measure: 'time to accept over HTTP as fast as it goes, p99', value: p99(HTTP), unit: 'ms' });
  report.add({
    measure: 'raw grouped inserts, of what the queue driver accepts',
    value: rate(RAW) / rate(DRIVER),
    unit: '',
    bar: { atMost: 2 },
    detail: {
      raw: ratesOf(RAW),
      driver: ratesOf(DRIVER),
      rowBytes: (all[DRIVER] ?? []).map(({ rowBytes = 0 }) => rowBytes),
    },
  });
  report.add({
    measure: 'raw grouped inserts, of what is accepted over HTTP',
    value: rate(RAW) / rate(HTTP),
    unit: '',
  });
}

async function inChild(name: string, args: readonly (string | number)[]): Promise<Rate> {
  const child = fork(new URL(`./${name}-child.ts`, import.meta.url), args.map(String));
  const [result] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${name} ended with code ${String(code)}`);
    }),
  ])) as [Rate];
  await once(child, 'exit');
  return result;
}
