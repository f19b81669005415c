/**
 * `npm run bench [-- SCENARIO...] [--seconds N] [--rounds N] [--functions N]`: what Ebb costs beside what it stands on.
 * A whole run is kept in `bench/results/` under its day, with pictures and pages made from it; one of some scenarios as
 * `partial.json`. `npm run bench -- plot [FILE]` makes pictures and pages again, of the newest whole run or of a file.
 */
import { availableParallelism, cpus } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { benchAccepts } from './async/accepts.ts';
import { benchBacklog } from './async/backlog.ts';
import { benchDispatch } from './async/dispatch.ts';
import { benchDraining } from './async/draining.ts';
import { benchCold } from './cold.ts';
import { benchGateways } from './gateways.ts';
import { benchImage } from './image.ts';
import { benchJobs } from './jobs.ts';
import { benchMany } from './many.ts';
import { benchMixed } from './mixed.ts';
import { benchOverload } from './overload.ts';
import { benchPool } from './pool.ts';
import { benchProfile } from './profile.ts';
import { Report } from './report.ts';
import { writePages } from './performance-page.ts';
import { PARTIAL, readResults } from './result-files.ts';
import { benchSimulate } from './simulate.ts';
import { benchStream } from './stream.ts';
import { benchThaw } from './thaw.ts';
import { benchWarm } from './warm.ts';

/** A scenario that takes longer is given up. */
const LIMIT_MS = 5 * 60_000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    functions: { type: 'string', default: '10000' },
  },
});
const options = {
  seconds: Number(values.seconds),
  rounds: Number(values.rounds),
  functions: Number(values.functions),
};
const report = new Report(options);

const SCENARIOS: Readonly<Record<string, () => Promise<void>>> = {
  warm: () => benchWarm(report, options),
  gateways: () => benchGateways(report, options),
  cold: () => benchCold(report, { rounds: options.rounds * 3 }),
  pool: () => benchPool(report, { rounds: options.rounds * 10 }),
  image: () => benchImage(report, { rounds: options.rounds * 3 }),
  jobs: () => benchJobs(report),
  thaw: () => benchThaw(report, { rounds: options.rounds * 7 }),
  many: () => benchMany(report, options),
  mixed: () => benchMixed(report, options),
  stream: () => benchStream(report, options),
  overload: () => benchOverload(report, options),
  accepts: () => benchAccepts(report, options),
  dispatch: () => benchDispatch(report),
  backlog: () => benchBacklog(report),
  draining: () => benchDraining(report, options),
  profile: () => benchProfile(report, options),
  simulate: () => benchSimulate(report),
};

if (positionals[0] === 'plot') {
  plot(positionals[1]);
} else {
  await measure();
}

function plot(path?: string): void {
  for (const written of writePages(readResults(path))) process.stdout.write(`${written}\n`);
}

async function measure(): Promise<void> {
  const isWhole = positionals.length === 0;
  const wanted = isWhole ? Object.keys(SCENARIOS) : positionals;
  const unknown = wanted.find((name) => !(name in SCENARIOS));
  if (unknown !== undefined) {
    process.stderr.write(`there is no scenario "${unknown}", only plot and ${Object.keys(SCENARIOS).join(', ')}\n`);
    process.exitCode = 2;
    return;
  }
  const file = isWhole ? new Date().toISOString().slice(0, 10) : PARTIAL;
  process.stdout.write(
    `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.version}\n`,
  );
  for (const name of wanted) {
    report.begin(name);
    const startedMs = performance.now();
    try {
      await Promise.race([SCENARIOS[name]?.(), limit(name)]);
    } catch (error) {
      report.leaveOut(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    process.stdout.write(`\n[${name} took ${((performance.now() - startedMs) / 1000).toFixed(0)} s]\n`);
    // After each one, so that a long run that is cut short has not been in vain.
    report.write(file);
  }
  report.print();
  process.stdout.write(`\nkept in ${report.write(file)}\n`);
  if (isWhole) plot();
  // Without waiting for what a scenario that ran into its limit still holds.
  process.exit(report.isWhole ? 0 : 1);
}

/** Rejects when a scenario has taken so long that it will not end. */
async function limit(name: string): Promise<never> {
  await setTimeout(LIMIT_MS, undefined, { ref: false });
  throw new Error(`${name} did not end within ${LIMIT_MS / 60_000} minutes`);
}
