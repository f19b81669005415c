import type { ShadowOutcome } from '../../telemetry/invocation-event.ts';

/** An answer as far as it is compared. */
export interface SeenAnswer {
  readonly status: number;
  /** Digest of its body; undefined when it was too large. */
  readonly digest: string | undefined;
  /** Whether the function gave it, whole. */
  readonly isWhole: boolean;
}

/** Compares the answer to a call with the answer to its copy. */
export function compareAnswers(primary: SeenAnswer, shadow: SeenAnswer): ShadowOutcome {
  if (!shadow.isWhole) return 'failed';
  if (!primary.isWhole) return 'uncompared';
  if (primary.status !== shadow.status) return 'status-differs';
  if (primary.digest === undefined || shadow.digest === undefined) return 'uncompared';
  return primary.digest === shadow.digest ? 'same' : 'body-differs';
}
