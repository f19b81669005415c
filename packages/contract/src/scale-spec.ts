import { Cron } from 'croner';
import { z } from 'zod';
import { freezeAfterSchema, standbySchema } from './freeze-spec.ts';
import { parseDurationMs } from './quantity.ts';
import { duration } from './quantity-schema.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

/** What the number of instances follows: calls at once, calls a second, CPU use, or the length of the line. */
export const SCALE_MODES = ['concurrency', 'rps', 'cpu', 'queue'] as const;
/** What the number of instances follows. */
export type ScaleMode = (typeof SCALE_MODES)[number];

/** How it is decided when an idle instance goes. */
export const KEEP_ALIVES = ['fixed', 'histogram', 'greedy-dual', 'auto'] as const;
/** How it is decided when an idle instance goes. */
export type KeepAlive = (typeof KEEP_ALIVES)[number];

/** In mode `cpu`, the share of its CPU limit an instance is meant to use, in percent, unless `target` says. */
const DEFAULT_CPU_PERCENT = 70;
/** The longest window that is used unless `window` says otherwise. */
const DEFAULT_WINDOW_MS = MINUTE;
/** The burst window is this share of the stable one unless `burstWindow` says otherwise. */
const BURST_SHARE = 0.1;
/** How long fewer instances must do before surplus ones go, in the modes that look at more than idle instances. */
const DEFAULT_DOWN_DELAY_MS = 30_000;

/** A time during which a function has more instances than its `min`, however little it is called. */
export const scheduledMinimumSchema = z.strictObject({
  cron: z
    .string()
    .max(128)
    .refine(isCron, 'must be five or six fields of a cron expression, such as "0 8 * * 1-5"')
    .describe('When it begins.'),
  for: duration(MINUTE, 7 * DAY, 'a duration from 1m to 7d, such as "10h"').describe('How long it lasts.'),
  timeZone: z
    .string()
    .max(64)
    .refine(isTimeZone, 'must be a time zone of the IANA database, such as "Europe/Berlin"')
    .default('UTC')
    .describe('Time zone of `cron`.'),
  min: z.number().int().min(0).max(1000).describe('Fewest instances in that time.'),
});

/** How many instances of a version there may be, what their number follows, and how long an idle one is kept. */
export const scaleSchema = z
  .strictObject({
    min: z.number().int().min(0).max(1000).default(0).describe('Instances kept even without traffic.'),
    minActive: z
      .number()
      .int()
      .min(0)
      .max(1000)
      .optional()
      .describe('Fewest instances while there is work and until all were idle for `idle`. Default: `min`.'),
    max: z.number().int().min(1).max(1000).default(20).describe('Most instances at once.'),
    idle: duration(100, 7 * DAY, 'a duration from 100ms to 7d, such as "5m"')
      .default('5m')
      .describe('How long an instance above `min` stays without work before it is stopped.'),
    freezeAfter: freezeAfterSchema,
    standby: standbySchema,
    mode: z.enum(SCALE_MODES).default('concurrency').describe('What the number of instances follows.'),
    target: z
      .number()
      .min(0.001)
      .max(1_000_000)
      .optional()
      .describe(
        'What one instance is meant to bear: calls at once, calls a second, percent of its `cpu`, or waiting calls. Needed for `rps`; default: `concurrency`, and 70 for `cpu`.',
      ),
    utilization: z
      .number()
      .min(0.05)
      .max(1)
      .default(1)
      .describe('Share of the target to use, for `concurrency` and `rps`; the rest is kept free for calls to come.'),
    window: duration(1000, HOUR, 'a duration from 1s to 1h, such as "60s"')
      .optional()
      .describe('Time over which load is averaged. Default: 60s; for `concurrency` no longer than `idle`.'),
    burstWindow: duration(100, HOUR, 'a duration from 100ms to 1h, such as "6s"')
      .optional()
      .describe('Shorter time over which bursts show. Default: a tenth of `window`.'),
    upRate: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe(
        'Most instances started in a minute; the first, and those up to `min`, are never held back. Default: any number.',
      ),
    downRate: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe('Most instances given up in a minute. Default: any number.'),
    downDelay: duration(0, DAY, 'a duration from 0s to 1d, such as "30s"')
      .optional()
      .describe(
        'After fewer instances would have done for this long, surplus ones but the last go even before `idle`. Default: 30s; for `concurrency` they wait for `idle`.',
      ),
    keepAlive: z
      .enum(KEEP_ALIVES)
      .optional()
      .describe('How long an idle instance is kept. Default: what the server says in `keepAlive`.'),
    schedule: z
      .array(scheduledMinimumSchema)
      .max(20)
      .default([])
      .describe('Times with more instances than `min`: each with `cron`, `for`, `timeZone` (default `UTC`) and `min`.'),
  })
  .superRefine((scale, context) => {
    const refuse = (path: (string | number)[], input: unknown, message: string): void =>
      context.addIssue({ code: 'custom', path, input, message });
    if (scale.min > scale.max) refuse(['min'], scale.min, 'must not be larger than scale.max');
    if (scale.minActive !== undefined && scale.minActive > scale.max) {
      refuse(['minActive'], scale.minActive, 'must not be larger than scale.max');
    }
    if (scale.mode === 'rps' && scale.target === undefined) {
      refuse(
        ['target'],
        undefined,
        'is missing: mode "rps" needs the calls a second that one instance is meant to take',
      );
    }
    if (scale.mode === 'cpu' && scale.target !== undefined && scale.target > 100) {
      refuse(['target'], scale.target, 'must be at most 100 in mode "cpu": it is a percentage of the limit "cpu"');
    }
    const { windowMs, burstWindowMs } = resolveWindows(scale);
    if (burstWindowMs > windowMs) refuse(['burstWindow'], scale.burstWindow, 'must not be longer than scale.window');
    for (const [index, { min }] of scale.schedule.entries()) {
      if (min > scale.max) refuse(['schedule', index, 'min'], min, 'must not be larger than scale.max');
    }
  });

/** What a user says about scaling, with defaults filled in. */
export type ScaleSpec = z.output<typeof scaleSchema>;

/** A {@link scheduledMinimumSchema} in plain units. */
export interface ScheduledMinimum {
  readonly cron: string;
  readonly timeZone: string;
  readonly forMs: number;
  readonly min: number;
}

/** What the number of instances follows, in plain units. */
export interface ResolvedScaling {
  readonly mode: ScaleMode;
  /** What one instance is meant to bear: calls at once, calls a second, cores, or waiting calls. */
  readonly target: number;
  /** Fewest instances while there is work, and until all were idle for long enough; absent for no more than always. */
  readonly minActive?: number;
  readonly windowMs: number;
  readonly burstWindowMs: number;
  /** Most instances started in a minute; absent for any number. */
  readonly upPerMinute?: number;
  /** Most instances given up in a minute; absent for any number. */
  readonly downPerMinute?: number;
  /** When surplus instances go before they were idle for long enough; absent for never. */
  readonly downDelayMs?: number;
  /** Absent for the server's. */
  readonly keepAlive?: KeepAlive;
  readonly schedule: readonly ScheduledMinimum[];
}

/** Turns what a parsed spec says about scaling into plain units. */
export function resolveScaling(
  scale: ScaleSpec,
  limits: { readonly concurrency: number; readonly cpuCores: number },
): ResolvedScaling {
  const { mode, utilization, target, upRate, downRate } = scale;
  const downDelayMs = ms(scale.downDelay) ?? (mode === 'concurrency' ? undefined : DEFAULT_DOWN_DELAY_MS);
  const bears: Readonly<Record<ScaleMode, number>> = {
    concurrency: Math.min(target ?? limits.concurrency, limits.concurrency) * utilization,
    rps: (target ?? Number.NaN) * utilization,
    cpu: ((target ?? DEFAULT_CPU_PERCENT) / 100) * limits.cpuCores,
    queue: target ?? limits.concurrency,
  };
  return {
    mode,
    target: bears[mode],
    ...(scale.minActive === undefined ? {} : { minActive: scale.minActive }),
    ...resolveWindows(scale),
    ...(upRate === undefined ? {} : { upPerMinute: upRate }),
    ...(downRate === undefined ? {} : { downPerMinute: downRate }),
    ...(downDelayMs === undefined ? {} : { downDelayMs }),
    ...(scale.keepAlive === undefined ? {} : { keepAlive: scale.keepAlive }),
    schedule: scale.schedule.map(({ cron, timeZone, for: length, min }) => ({
      cron,
      timeZone,
      forMs: ms(length) ?? 0,
      min,
    })),
  };
}

/**
 * The windows of a spec. In mode `concurrency` the default is never longer than `idle`: an instance that was idle all
 * that time was not needed at any moment of it, so the average never keeps what `idle` lets go.
 */
function resolveWindows(scale: Pick<ScaleSpec, 'mode' | 'idle' | 'window' | 'burstWindow'>) {
  const longestMs = scale.mode === 'concurrency' ? (ms(scale.idle) ?? DEFAULT_WINDOW_MS) : DEFAULT_WINDOW_MS;
  const windowMs = ms(scale.window) ?? Math.min(DEFAULT_WINDOW_MS, longestMs);
  return { windowMs, burstWindowMs: ms(scale.burstWindow) ?? windowMs * BURST_SHARE };
}

function ms(value: string | number | undefined): number | undefined {
  return value === undefined ? undefined : parseDurationMs(value);
}

function isCron(text: string): boolean {
  if (!/^\S+(?: \S+){4,5}$/.test(text)) return false;
  try {
    return new Cron(text, { timezone: 'UTC' }).nextRun() !== null;
  } catch {
    return false;
  }
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
