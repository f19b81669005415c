import { z } from 'zod';
import type { ResolvedLimits } from './function-spec.ts';

const MOST_CALLS = 1_000_000;
const RATE_UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const MOST_PER_SECOND = 1_000_000;
/** One call a day. */
const LEAST_PER_SECOND = 1 / 86_400;

/**
 * Calls a second meant by `100/s`, `600/m`, `5000/h` or a plain number of calls a second; undefined when it is none.
 */
export function parseRate(value: string | number): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(?:\/(s|m|h))?$/.exec(String(value));
  return match ? Number(match[1]) / (RATE_UNITS[match[2] ?? 's'] ?? 1) : undefined;
}

const callsSchema = z.number().int().min(1).max(MOST_CALLS);

/** How many calls of a function run or wait at once, over all its versions together; the live version's spec says it. */
export const functionLimitsSchema = z
  .strictObject({
    concurrency: callsSchema.optional().describe('Most calls at once over all versions. Default: any number.'),
    reserved: z
      .number()
      .int()
      .min(0)
      .max(MOST_CALLS)
      .default(0)
      .describe('Calls at once for which room is kept: others of the namespace and of the host cannot use it.'),
  })
  .refine(({ concurrency = Number.POSITIVE_INFINITY, reserved }) => reserved <= concurrency, {
    path: ['reserved'],
    message: 'must not be larger than limits.concurrency',
  });

/** How many calls of a function there may be at once. */
export type FunctionLimits = z.output<typeof functionLimitsSchema>;

/** What a namespace may use; what is absent is not limited. */
export const namespaceLimitsSchema = z
  .strictObject({
    concurrency: callsSchema.optional().describe('Most calls at once of all its functions together.'),
    rate: z
      .union([z.string(), z.number()])
      .refine((value) => {
        const perSecond = parseRate(value);
        return perSecond !== undefined && perSecond >= LEAST_PER_SECOND && perSecond <= MOST_PER_SECOND;
      }, 'must be a number of calls a second up to 1000000, such as 100, "100/s", "600/m" or "5000/h"')
      .optional()
      .describe('Most calls in a time, such as `100/s`.'),
    burst: callsSchema.optional().describe('Calls that may come at once within `rate`. Default: those of one second.'),
    reserved: z
      .number()
      .min(0)
      .max(100)
      .optional()
      .describe('Percentage of the host’s instances and memory that other namespaces cannot use.'),
  })
  .refine(({ rate, burst }) => burst === undefined || rate !== undefined, {
    path: ['burst'],
    message: 'must have "rate" beside it',
  });

/** What a namespace may use. */
export type NamespaceLimits = z.output<typeof namespaceLimitsSchema>;

/** A rate of calls: so many a second, and so many at once after a pause. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** The rate that a namespace's limits say, in plain units; undefined when they say none. */
export function resolveRate({ rate, burst }: NamespaceLimits): RateLimit | undefined {
  const perSecond = rate === undefined ? undefined : parseRate(rate);
  if (perSecond === undefined) return undefined;
  return { perSecond, burst: burst ?? Math.max(1, Math.ceil(perSecond)) };
}

/** Calls that one instance is meant to bear at once. */
export function callsPerInstance({ scaling, concurrency }: ResolvedLimits): number {
  return scaling.mode === 'concurrency' ? scaling.target : concurrency;
}

/** Instances it takes for the calls at once that a function has reserved. */
export function reservedInstances(limits: ResolvedLimits): number {
  return Math.ceil(limits.calls.reserved / callsPerInstance(limits));
}
