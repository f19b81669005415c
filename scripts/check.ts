/**
 * `npm test`: every check one after the other, here as in CI. The last line is `N passed, N failed`, counting the
 * checks and every test; a skipped test is named with its reason, and is a failure where CI=true.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestSummary } from './vitest-summary.ts';

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** What to do when it fails. */
  readonly advice: string;
}

const CHECKS: readonly Check[] = [
  { name: 'format', command: ['oxfmt', '--check'], advice: 'run `npm run format`' },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings'], advice: 'run `npm run lint`' },
  { name: 'types', command: ['tsc', '--noEmit'], advice: 'run `npm run types`' },
  { name: 'unused code', command: ['knip'], advice: 'remove what nothing uses, or run `npm run unused` to see it' },
];

interface Outcome {
  readonly status: number;
  readonly output: string;
}

/** Runs a program; its output is kept, or shown as it comes with `live`. */
function run(
  command: readonly [string, ...string[]],
  options: { live: boolean; env?: NodeJS.ProcessEnv },
): Promise<Outcome> {
  const [program, ...args] = command;
  return new Promise((resolve) => {
    const output: Buffer[] = [];
    const stdio = options.live ? 'inherit' : 'pipe';
    const child = spawn(program, args, { stdio: ['ignore', stdio, stdio], env: options.env ?? process.env });
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
    child.on('error', (error) => resolve({ status: 1, output: error.message }));
    child.on('close', (code) => resolve({ status: code ?? 1, output: Buffer.concat(output).toString() }));
  });
}

/** Runs all tests; without a summary vitest itself broke, which is one failure. */
async function runTests(): Promise<TestSummary> {
  const directory = mkdtempSync(path.join(tmpdir(), 'ebb-check-'));
  const file = path.join(directory, 'summary.json');
  const reporters = ['--reporter=default', '--reporter=./scripts/vitest-summary.ts'];
  try {
    const env = { ...process.env, EBB_TEST_SUMMARY: file };
    const { status } = await run(['vitest', 'run', ...reporters], { live: true, env });
    const summary = JSON.parse(readFileSync(file, 'utf8')) as TestSummary;
    const isSilentFailure = summary.passed === 0 || (status !== 0 && summary.failed.length === 0);
    if (!isSilentFailure) return summary;
    return { ...summary, failed: [...summary.failed, `vitest ended with status ${status}`] };
  } catch (error) {
    return { passed: 0, failed: [`vitest broke: ${String(error)}`], skipped: [], slowest: [] };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

async function main(): Promise<void> {
  let passed = 0;
  const failures: string[] = [];
  for (const check of CHECKS) {
    const startedAt = performance.now();
    const { status, output } = await run(check.command, { live: false });
    const took = seconds(performance.now() - startedAt);
    console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${check.name} (${took})`);
    if (status === 0) passed += 1;
    else {
      failures.push(`${check.name}: ${check.advice}`);
      console.log(output);
    }
  }

  const startedAt = performance.now();
  const tests = await runTests();
  console.log(`${tests.failed.length === 0 ? 'ok    ' : 'FAILED'} tests (${seconds(performance.now() - startedAt)})`);
  failures.push(...tests.failed);
  if (tests.slowest.length > 0) console.log('\nSlowest tests:');
  for (const { name, durationMs } of tests.slowest) console.log(`  ${seconds(durationMs).padStart(7)}  ${name}`);
  if (tests.skipped.length > 0) console.log('\nSkipped tests:');
  for (const { name, reason } of tests.skipped) console.log(`  ${name}: ${reason}`);
  const isCi = process.env['CI'] === 'true';
  if (isCi) failures.push(...tests.skipped.map(({ name }) => `${name}: was skipped, which CI does not allow`));
  if (failures.length > 0) console.log('\nFailures:');
  for (const failure of failures) console.log(`  ${failure}`);
  process.exitCode = failures.length === 0 ? 0 : 1;
  console.log(`\n${passed + tests.passed} passed, ${failures.length} failed`);
}

await main();
