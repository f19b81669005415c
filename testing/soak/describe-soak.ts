import type { CallKind } from './record-call.ts';
import type { RolloutSoakResult } from './run-rollout-soak.ts';

const KINDS: readonly CallKind[] = ['short', 'long', 'stream'];
const MAX_SHOWN = 20;

/** Everything that went wrong, one line each. */
export function failuresOf({ calls, failedChanges }: RolloutSoakResult): readonly string[] {
  const failed = calls.flatMap(({ kind, startedMs, failure }) =>
    failure === undefined ? [] : [`${kind} call begun at ${(startedMs / 1000).toFixed(2)} s: ${failure}`],
  );
  return [...failed, ...failedChanges];
}

/** The table at the end of a soak. */
export function describeSoak(result: RolloutSoakResult): string {
  const { calls, deploys, rollbacks, weightChanges, takeovers } = result;
  const rows = KINDS.map((kind) => {
    const own = calls.filter((call) => call.kind === kind);
    const tookMs = own.map((call) => call.tookMs).toSorted((a, b) => a - b);
    const at = (share: number): string => `${Math.round(tookMs[Math.floor((tookMs.length - 1) * share)] ?? 0)} ms`;
    const failed = own.filter(({ failure }) => failure !== undefined).length;
    return [kind, String(own.length), String(failed), at(0.5), at(0.99), at(1)];
  });
  const versions = new Set(calls.flatMap(({ version }) => version ?? [])).size;
  const failures = failuresOf(result);
  return [
    '',
    ...[['calls', 'sent', 'failed', 'p50', 'p99', 'slowest'], ...rows].map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(8) : cell.padStart(10))).join(''),
    ),
    '',
    `${deploys} deploys, ${rollbacks} rollbacks, ${weightChanges} weight changes, ${takeovers} takeovers; ${versions} versions answered`,
    ...failures.slice(0, MAX_SHOWN).map((failure) => `FAILED ${failure}`),
    `${failures.length} failures`,
  ].join('\n');
}
