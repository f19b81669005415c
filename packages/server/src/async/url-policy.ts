import { type AsyncPolicy, resolveAsync } from '@ebb/contract';
import { URL_MAX_AGE_MS } from './decide-follow-ups.ts';

/** How outcomes are posted to addresses: tried again for about a day, whatever is wrong on the other side. */
export const URL_POLICY: AsyncPolicy = {
  ...resolveAsync(),
  attempts: 16,
  minWaitMs: 1_000,
  maxWaitMs: 3 * 3_600_000,
  retryStatuses: new Set([408, 421, 425, 429, ...Array.from({ length: 100 }, (_, index) => 500 + index)]),
  maxAgeMs: URL_MAX_AGE_MS,
};

/** From the look-up of the name to the end of the answer. */
export const URL_TIMEOUT_MS = 30_000;
