import { describe, inject } from 'vitest';

/** Like `describe`, for what needs Debian's registry or monitoring; skipped by name, with the reason, where they are not. */
export function describeWithDebianPrograms(name: string, define: () => void): void {
  const missing = inject('debianProgramsMissing');
  if (missing === undefined) describe(name, define);
  else describe.skip(`${name} (needs Debian's programs: ${missing})`, define);
}
