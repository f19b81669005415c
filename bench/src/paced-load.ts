import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { percentile } from './measure.ts';
import type { LoadStep } from './results.ts';

const run = promisify(execFile);
const CONNECTIONS = 32;
/** Connections begin one after the other, so that their requests do not come in volleys. */
const STAGGER = ['-r1', '--rate-period=3ms'];

/**
 * Has each of some connections send a request at a fixed rate with h2load, which takes so little CPU itself that
 * tails of a millisecond can be told apart on a machine it shares with what it measures. A connection sends its next
 * request only after the last answer, so this is for loads well below saturation.
 */
export async function pacedLoad(options: {
  readonly url: string;
  /** Asked for by turns instead of the path of the URL. */
  readonly paths?: readonly string[];
  readonly rate: number;
  /** Default: 32. */
  readonly connections?: number;
  /** Posted with each request. */
  readonly body?: string;
  readonly headers?: readonly string[];
  /** What a good answer has. Default: 200. */
  readonly status?: number;
  readonly seconds: number;
}): Promise<LoadStep> {
  const { url, seconds, paths, connections = CONNECTIONS, body, headers = [], status: wanted = 200 } = options;
  const each = Math.max(1, Math.round(options.rate / connections));
  const requests = each * connections * seconds;
  const directory = await mkdtemp('/tmp/ebb-bench-paced-');
  try {
    const log = join(directory, 'log');
    const list = join(directory, 'urls');
    await writeFile(list, (paths ?? [new URL(url).pathname]).map((path) => `${new URL(path, url).href}\n`).join(''));
    const args = [
      '--h1',
      `-c${connections}`,
      ...STAGGER,
      `--rps=${each}`,
      `-n${requests}`,
      `--log-file=${log}`,
      `--input-file=${list}`,
      ...headers.map((header) => `-H${header}`),
    ];
    if (body !== undefined) {
      const data = join(directory, 'data');
      await writeFile(data, body);
      args.push(`-d${data}`);
    }
    await run('h2load', args, { maxBuffer: 2 ** 24 });
    const lines = (await readFile(log, 'utf8')).trim().split('\n');
    const good = lines.map((line) => line.split('\t')).filter(([, status]) => status === String(wanted));
    const latencies = good.map(([, , us]) => Number(us) / 1000);
    // What falls behind the rate takes longer.
    const begins = good.map(([startedUs]) => Number(startedUs) / 1e6);
    const tookSeconds = Math.max(seconds, percentile(begins, 1) - percentile(begins, 0));
    return {
      offered: each * connections,
      goodput: latencies.length / tookSeconds,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      shed: 0,
      shedP99Ms: 0,
      errors: requests - latencies.length,
    };
  } finally {
    await rm(directory, { recursive: true });
  }
}
