import {
  ROLLOUT_REASONS,
  type RolloutEntry,
  rolloutEntrySchema,
  type RolloutResource,
  rolloutSchema,
  rolloutSideSchema,
  rolloutStateSchema,
  writeDuration,
  resolveRollout,
} from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import type { Entry } from '../store/key-value.ts';
import { weightAt } from './decide-rollout.ts';

const countsSchema = z.object({
  calls: z.number(),
  failed: z.number(),
  durations: z.array(z.number()).readonly(),
  paced: z.array(z.number()).readonly(),
  starts: z.number(),
  failedStarts: z.number(),
});

const recordSchema = z.object({
  namespace: z.string(),
  name: z.string(),
  id: z.number(),
  from: z.number(),
  to: z.number(),
  /** What a rollback went back to before the rollout. */
  before: z.number().optional(),
  spec: rolloutSchema,
  state: rolloutStateSchema,
  /** What it is about to be: written before the weights of `live` change, so that a crash in between is made good. */
  ending: z.enum(['finished', 'promoted', 'rolled-back', 'aborted']).optional(),
  step: z.number(),
  phase: z.enum(['warming', 'watching']),
  /** Number of the last window of observations when the step began: what is seen after a restart begins there. */
  ordinal: z.number(),
  /** What was seen of the old version until the last change. */
  baseline: countsSchema,
  reason: z.enum(ROLLOUT_REASONS),
  message: z.string(),
  old: rolloutSideSchema,
  new: rolloutSideSchema,
  startedAt: z.number(),
  endedAt: z.number().optional(),
  timeline: z.array(rolloutEntrySchema),
});

/** A rollout as it is stored; replaced as a whole by every change. Moments are milliseconds since the Unix epoch. */
export type RolloutRecord = Readonly<z.output<typeof recordSchema>>;

/** How a rollout may end. */
export type RolloutEnding = NonNullable<RolloutRecord['ending']>;

/** Lines kept of a timeline: the first ones, and of the rest the newest. */
const MOST_ENTRIES = 200;
const FIRST_ENTRIES = 20;

/** Whether a rollout is not over. */
export function isRunning({ state }: RolloutRecord): boolean {
  return state === 'running' || state === 'paused';
}

/** Percentage of the calls the new version is to get now. */
export function weightOf(record: RolloutRecord): number {
  const ended = record.ending ?? record.state;
  if (ended === 'finished' || ended === 'promoted') return 100;
  if (ended === 'rolled-back' || ended === 'aborted') return 0;
  return weightAt(resolveRollout(record.spec), record);
}

/** A record with a line more in its timeline. */
export function withEntry(record: RolloutRecord, entry: RolloutEntry): RolloutRecord {
  const timeline = [...record.timeline, entry];
  if (timeline.length <= MOST_ENTRIES) return { ...record, timeline };
  return { ...record, timeline: [...timeline.slice(0, FIRST_ENTRIES), ...timeline.slice(FIRST_ENTRIES + 1)] };
}

/** A rollout as the API shows it. */
export function showRollout(record: RolloutRecord): RolloutResource {
  const { namespace, name, id, from, to, state, step, reason, message, timeline, spec, startedAt, endedAt } = record;
  return {
    namespace,
    name,
    id,
    strategy: spec.strategy,
    from,
    to,
    state,
    step,
    steps: resolveRollout(spec).steps.map(({ weight, pauseMs }) => ({ weight, pause: writeDuration(pauseMs) })),
    weight: weightOf(record),
    reason,
    message,
    old: record.old,
    new: record.new,
    startedAt: new Date(startedAt).toISOString(),
    ...(endedAt === undefined ? {} : { endedAt: new Date(endedAt).toISOString() }),
    timeline,
  };
}

/** Reads a stored rollout. Throws STORE_FAILED. */
export function parseRollout({ key, value }: Entry): RolloutRecord {
  try {
    return recordSchema.parse(JSON.parse(value));
  } catch (cause) {
    throw new EbbError('STORE_FAILED', `the stored rollout "${key}" cannot be read by this version of Ebb`, { cause });
  }
}
