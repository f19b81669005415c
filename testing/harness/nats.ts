import { describe, inject } from 'vitest';

/** Like `describe`, for what needs a `nats-server`; skipped by name, with the reason, where there is none. */
export function describeWithNats(name: string, define: () => void): void {
  const missing = inject('natsMissing');
  if (missing === undefined) describe(name, define);
  else describe.skip(`${name} (needs NATS: ${missing})`, define);
}
