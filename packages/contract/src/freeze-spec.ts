import { z } from 'zod';
import { parseDurationMs } from './quantity.ts';

const MIN_MS = 100;
const MAX_MS = 7 * 86_400_000;

/** `scale.freezeAfter`: how long an idle instance keeps its CPU, or `off`. */
export const freezeAfterSchema = z
  .union([z.string(), z.number()])
  .refine((value) => {
    if (value === 'off') return true;
    const ms = parseDurationMs(value);
    return ms !== undefined && ms >= MIN_MS && ms <= MAX_MS;
  }, 'must be "off" or a duration from 100ms to 7d, such as "10s"')
  .default('10s')
  .describe('How long an instance stays without work before it is frozen: it keeps its memory and gets no CPU.');

/** `scale.standby`: how many instances are kept beyond those at work. */
export const standbySchema = z
  .number()
  .int()
  .min(0)
  .max(1000)
  .default(0)
  .describe('Instances kept started and frozen beyond those at work, for calls that cannot wait for a start.');

/** Milliseconds without work after which an instance is frozen; infinite when it never is. */
export function resolveFreezeAfterMs(freezeAfter: string | number): number {
  return freezeAfter === 'off' ? Number.POSITIVE_INFINITY : (parseDurationMs(freezeAfter) ?? Number.POSITIVE_INFINITY);
}
