import { z } from 'zod';

/** Why an instance was wanted. */
const START_CAUSES = ['scale-from-zero', 'burst', 'replaced', 'minimum', 'standby', 'deploy'] as const;

/** How an instance came to be; durations in milliseconds. */
export const startReportSchema = z.object({
  cause: z.enum(START_CAUSES),
  /**
   * Whether a spare was used, or made first (`made`); else that none was ready (`empty`), that the version cannot use
   * one (`unfit`), that one was but did not work (`failed`), or that there are none (`off`).
   */
  spare: z.enum(['used', 'made', 'empty', 'unfit', 'failed', 'off']),
  /** From the decision to the host's permit. */
  admitMs: z.number(),
  /** Gathering what it is made of: code, secrets. */
  codeMs: z.number(),
  /** Present when the instance was made for the version. */
  createMs: z.number().optional(),
  /** Present when it was made of a spare: code, environment, secrets and limits given to it. */
  specialiseMs: z.number().optional(),
  /** Until it was ready: the handler loads, and the runtime if it was not loaded yet. */
  initMs: z.number(),
});
/** How an instance came to be. */
export type StartReport = z.output<typeof startReportSchema>;

/**
 * Why a call waited: the instance that served it was being started, for one of the causes of a start or with
 * `pool-empty` because a spare would have done but none was ready; it had to `thaw`; or all there were had work (`busy`).
 */
export const waitCauseSchema = z.enum([...START_CAUSES, 'pool-empty', 'thaw', 'busy']);
/** Why a call waited. */
export type WaitCause = z.output<typeof waitCauseSchema>;

/** What a call waited for. */
export interface WaitReport {
  readonly cause: WaitCause;
  /** How its instance came to be, if that happened while the call waited. */
  readonly start?: StartReport | undefined;
  /** How long its instance took to thaw, in milliseconds, if that happened while the call waited. */
  readonly thawMs?: number | undefined;
}

/** What calls waited for that were there when an instance had started. */
export function waitForStart(start: StartReport): WaitReport {
  return { cause: start.spare === 'empty' ? 'pool-empty' : start.cause, start };
}

/** Whether a call with such a wait waited for an instance to start. */
export function isColdWait({ cause }: WaitReport): boolean {
  return cause !== 'busy' && cause !== 'thaw';
}

/** A part of a start, as metrics, logs and `Server-Timing` name it. */
export type StartPhase = 'admit' | 'code' | 'create' | 'specialise' | 'init';

/** The parts of a start in their order, each with its milliseconds. */
export function startPhases(start: StartReport): (readonly [phase: StartPhase, ms: number])[] {
  const { admitMs, codeMs, createMs, specialiseMs, initMs } = start;
  return [
    ['admit', admitMs],
    ['code', codeMs],
    ...(createMs === undefined ? [] : [['create', createMs] as const]),
    ...(specialiseMs === undefined ? [] : [['specialise', specialiseMs] as const]),
    ['init', initMs],
  ];
}

/** A start that calls waited for. */
export const coldStartSchema = z.object({
  /** When the instance was ready. */
  at: z.iso.datetime(),
  version: z.number().int(),
  instance: z.string(),
  cause: waitCauseSchema,
  /** Calls in line that it served at once. */
  calls: z.number().int(),
  start: startReportSchema,
});
/** A start that calls waited for. */
export type ColdStart = z.output<typeof coldStartSchema>;
