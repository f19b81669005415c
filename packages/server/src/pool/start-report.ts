/** Why an instance is started. */
export type StartCause = 'scale-from-zero' | 'burst' | 'replaced' | 'minimum' | 'deploy';

/** How a start went, for whoever explains a cold call. Durations in milliseconds. */
export interface StartReport {
  readonly cause: StartCause;
  /**
   * Whether a spare was used, or made first (`made`); else that none was ready (`empty`), that the version cannot use one (`unfit`), that one
   * was but did not work (`failed`), or that there are none (`off`).
   */
  readonly spare: 'used' | 'made' | 'empty' | 'unfit' | 'failed' | 'off';
  /** From the decision to the host's permit. */
  readonly admitMs: number;
  /** Gathering what it is made of: code, secrets. */
  readonly codeMs: number;
  /** Present when the instance was made for the version. */
  readonly createMs?: number;
  /** Present when it was made of a spare: code, environment, secrets and limits given to it, and the spare if it was made first. */
  readonly specialiseMs?: number;
  /** Until it was ready: the runtime and the handler load. */
  readonly initMs: number;
}

/** Who asks for a start, and since when. */
export interface LaunchContext {
  readonly cause: StartCause;
  /** When the start was decided, monotonic milliseconds. */
  readonly decidedAtMs: number;
}
