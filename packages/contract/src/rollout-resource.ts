import { z } from 'zod';
import { nameSchema } from './names.ts';
import { ROLLOUT_STRATEGIES } from './rollout.ts';

/** How one of the two versions of a rollout does. */
export const rolloutSideSchema = z.object({
  version: z.number().int(),
  /** Calls that were answered or failed; without those that the caller or the platform ended. */
  calls: z.number().int(),
  /** Of them, those that failed because of the function: 5xx, crashes, failed starts, time-outs. */
  failed: z.number().int(),
  /** 95th percentile of the time it took, without waiting and cold starts; absent without calls. */
  p95Ms: z.number().optional(),
  /** Starts of instances, and those that failed. */
  starts: z.number().int(),
  failedStarts: z.number().int(),
});
/** How one of the two versions of a rollout does. */
export type RolloutSide = z.output<typeof rolloutSideSchema>;

/** Why a rollout is where it is. */
export const ROLLOUT_REASONS = [
  'STARTED',
  'WARMING',
  'WARM',
  'PAUSE_RUNS',
  'NOT_ENOUGH_DATA',
  'WAITED_TOO_LONG',
  'LOOKS_WORSE',
  'GOOD',
  'MORE_ERRORS',
  'SLOWER',
  'COLD_STARTS_FAIL',
  'BY_HAND',
  'CHANGED_BY_HAND',
  'RESTARTED',
  'NOT_BEGUN',
] as const;
/** Why a rollout is where it is. */
export type RolloutReason = (typeof ROLLOUT_REASONS)[number];

/** What was done. */
export const ROLLOUT_ACTIONS = [
  'start',
  'warm',
  'advance',
  'hold',
  'pause',
  'resume',
  'finish',
  'promote',
  'roll-back',
  'abort',
] as const;

/** One line of a rollout's timeline. */
export const rolloutEntrySchema = z.object({
  at: z.iso.datetime(),
  action: z.enum(ROLLOUT_ACTIONS),
  /** Percentage of the calls that the new version gets from then on. */
  weight: z.number(),
  reason: z.enum(ROLLOUT_REASONS),
  /** The same in a sentence, with the numbers that were decisive. */
  message: z.string(),
  old: rolloutSideSchema.optional(),
  new: rolloutSideSchema.optional(),
});
/** One line of a rollout's timeline. */
export type RolloutEntry = z.output<typeof rolloutEntrySchema>;

/** Where a rollout is: the first two are not over. */
export const rolloutStateSchema = z.enum(['running', 'paused', 'finished', 'promoted', 'rolled-back', 'aborted']);
/** Where a rollout is. */
export type RolloutState = z.output<typeof rolloutStateSchema>;

/** A rollout as the API shows it. */
export const rolloutResourceSchema = z.object({
  namespace: nameSchema,
  name: nameSchema,
  /** Counts the rollouts of a function. */
  id: z.number().int(),
  strategy: z.enum(ROLLOUT_STRATEGIES),
  /** Number of the version that served before. */
  from: z.number().int(),
  /** Number of the version that takes over. */
  to: z.number().int(),
  state: rolloutStateSchema,
  /** Index of the step it is at. */
  step: z.number().int(),
  steps: z.array(z.object({ weight: z.number(), pause: z.string() })),
  /** Percentage of the calls that the new version gets now. */
  weight: z.number(),
  reason: z.enum(ROLLOUT_REASONS),
  /** What it waits for, or how it ended, in a sentence. */
  message: z.string(),
  old: rolloutSideSchema,
  new: rolloutSideSchema,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  timeline: z.array(rolloutEntrySchema),
});
/** A rollout as the API shows it. */
export type RolloutResource = z.output<typeof rolloutResourceSchema>;
