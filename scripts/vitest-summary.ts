/** A vitest reporter that hands the outcome of a run to `check.ts` through the file that EBB_TEST_SUMMARY names. */
import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** The outcome of one vitest run. */
export interface TestSummary {
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  readonly slowest: readonly { readonly name: string; readonly durationMs: number }[];
}

/** What became of a run; a file or suite that broke outside its tests counts as one failure. */
export function summarize(modules: readonly TestModule[], unhandled: readonly SerializedError[]): TestSummary {
  const failed = unhandled.map((error) => `unhandled error: ${error.message}`);
  const skipped: { name: string; reason: string }[] = [];
  const timed: { name: string; durationMs: number }[] = [];
  let passed = 0;
  for (const module of modules) {
    if (module.errors().length > 0) failed.push(module.relativeModuleId);
    for (const suite of module.children.allSuites()) {
      if (suite.errors().length > 0) failed.push(`${module.relativeModuleId} > ${suite.fullName}`);
    }
    for (const test of module.children.allTests()) {
      const name = `${module.relativeModuleId} > ${test.fullName}`;
      const result = test.result();
      if (result.state === 'passed') passed += 1;
      else if (result.state === 'skipped') skipped.push({ name, reason: result.note ?? 'no reason given' });
      else failed.push(name);
      timed.push({ name, durationMs: test.diagnostic()?.duration ?? 0 });
    }
  }
  const slowest = timed.toSorted((left, right) => right.durationMs - left.durationMs).slice(0, 10);
  return { passed, failed, skipped, slowest };
}

/** The reporter, loaded by vitest through its default export. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const path = process.env['EBB_TEST_SUMMARY'];
    if (path !== undefined) writeFileSync(path, JSON.stringify(summarize(modules, unhandled)));
  }
}
