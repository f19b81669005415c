import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { foldProfile, type CpuProfile } from './fold-profile.ts';
import { load } from './measure.ts';
import { printTable } from './print-table.ts';
import type { Report } from './report.ts';
import { functionDir, startEbb } from './start-ebb.ts';

/**
 * With its small young generation given here, `ebb up` need not start once more to get it: the profiler of the first start
 * would go on sending its signal, which ends a process that has no profiler yet.
 */
const GARBAGE_FLAGS = ['--max-semi-space-size=8', '--no-parallel-scavenge'];
const WARM_UP_SECONDS = 3;
const CONNECTIONS = 32;
const SHOWN = 20;

/** Where the time of a warm call goes: a CPU profile of the server's main thread while it is under load. */
export async function benchProfile(report: Report, options: { readonly seconds: number }): Promise<void> {
  const directory = await mkdtemp('/tmp/ebb-bench-profile-');
  try {
    const window = { fromUs: 0, untilUs: 0, requests: 0 };
    {
      await using ebb = await startEbb('process', {}, [
        ...GARBAGE_FLAGS,
        '--cpu-prof',
        '--cpu-prof-interval=200',
        `--cpu-prof-dir=${directory}`,
      ]);
      await ebb.deploy('plain', await ebb.upload(functionDir('plain')), {
        concurrency: 1000,
        scale: { min: 1, max: 1, freezeAfter: 'off' },
      });
      const url = `${ebb.url}/function/plain`;
      await load(url, { connections: CONNECTIONS, seconds: WARM_UP_SECONDS });
      window.fromUs = nowUs();
      window.requests = (await load(url, { connections: CONNECTIONS, seconds: options.seconds })).requests;
      window.untilUs = nowUs();
    }
    const profile = foldProfile(await readProfile(directory), window);
    report.series.profile = { ...profile, connections: CONNECTIONS };
    printTable(
      `Busy time of the server on the warm path, ${profile.busyUsPerRequest.toFixed(1)} µs a request while profiled`,
      ['function', 'self'],
      profile.top.slice(0, SHOWN).map(({ name, share }) => [name, `${(share * 100).toFixed(1)} %`]),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The clock that V8 stamps its samples with. */
function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Every thread writes a profile of its own; the main thread's is number 0. */
async function readProfile(directory: string): Promise<CpuProfile> {
  const name = (await readdir(directory)).find((file) => /^CPU\.\d+\.\d+\.\d+\.0\./.test(file));
  if (name === undefined) throw new Error('the server left no profile of its main thread behind');
  return JSON.parse(await readFile(join(directory, name), 'utf8')) as CpuProfile;
}
