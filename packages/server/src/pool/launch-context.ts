import type { StartReport } from '@ebb/contract';

/** Who asks for a start, and since when. */
export interface LaunchContext {
  readonly cause: StartReport['cause'];
  /** When the start was decided, monotonic milliseconds. */
  readonly decidedAtMs: number;
}
