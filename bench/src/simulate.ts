import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Report } from './report.ts';
import type { Simulation } from './results.ts';
import { EBB } from './start-ebb.ts';

const run = promisify(execFile);
const GENERATE = fileURLToPath(new URL('./generate-trace.ts', import.meta.url));
/** Hours, functions and seed of the trace. */
const TRACE = ['24', '200', '7'];
const IDLE = '5m';
const BUDGETS = [undefined, '6Gi', '4Gi'];
const MOST_OUTPUT_BYTES = 2 ** 28;

/** Has `ebb simulate` replay a generated trace under each keep-alive policy, without and with a memory budget. */
export async function benchSimulate(report: Report): Promise<void> {
  const directory = await mkdtemp('/tmp/ebb-bench-trace-');
  try {
    const trace = join(directory, 'trace.csv');
    const { stdout } = await run(process.execPath, [GENERATE, ...TRACE], { maxBuffer: MOST_OUTPUT_BYTES });
    await writeFile(trace, stdout);
    const simulations: Simulation[] = [];
    for (const budget of BUDGETS) {
      const bound = budget === undefined ? [] : ['--memory-budget', budget];
      const words = [EBB, 'simulate', trace, '--idle', IDLE, ...bound, '--json'];
      simulations.push(JSON.parse((await run(process.execPath, words)).stdout) as Simulation);
    }
    report.series.simulations = simulations;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
