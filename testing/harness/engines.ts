import { describe, inject } from 'vitest';

/** An engine that end-to-end tests run on. */
export type EngineName = 'process' | 'docker';

/** Defines the same tests for every engine; where Docker cannot be had, its tests are skipped by name. */
export function describeOnEngines(title: string, define: (engine: EngineName) => void): void {
  describe(`${title} on process`, () => define('process'));
  describeOnDocker(`${title} on docker`, () => define('docker'));
}

/** Defines tests that need Docker. */
export function describeOnDocker(title: string, define: () => void): void {
  const missing = inject('dockerMissing');
  describe.skipIf(missing !== undefined)(missing === undefined ? title : `${title} (${missing})`, define);
}
