import { type AsyncSpecInput, parseDurationMs, resolveAsync } from '@ebb/contract';

const RETRY = 'com.openfaas.retry.';
const DAY_MS = 86_400_000;
const MAX_ATTEMPTS = 1_000;
const MAX_CODES = 200;

/** What a function says of retries, as its spec takes it. */
export type RetrySpec = NonNullable<AsyncSpecInput['retry']>;

/**
 * What `com.openfaas.retry.{attempts,codes,min_wait,max_wait}` say, as the spec's own `async.retry`; undefined where they
 * say nothing that can be understood. A value that is not allowed is as if it were not there, so that no deployment fails
 * for it. Waits are durations such as `10s` or seconds. The longest wait is never less than the shortest.
 */
export function resolveRetryAnnotations(annotations: Readonly<Record<string, string>>): RetrySpec | undefined {
  const attempts = readAttempts(annotations[`${RETRY}attempts`]);
  const statuses = readCodes(annotations[`${RETRY}codes`]);
  const retry: RetrySpec = {
    ...(attempts === undefined ? {} : { attempts }),
    ...(statuses === undefined ? {} : { statuses }),
    ...waitsOf(readWaitMs(annotations[`${RETRY}min_wait`]), readWaitMs(annotations[`${RETRY}max_wait`])),
  };
  return Object.keys(retry).length === 0 ? undefined : retry;
}

/** What only one of them says must not contradict what the other is by default. */
function waitsOf(minMs: number | undefined, maxMs: number | undefined): Pick<RetrySpec, 'minWait' | 'maxWait'> {
  if (minMs === undefined && maxMs === undefined) return {};
  const usual = resolveAsync();
  const shortestMs = minMs ?? Math.min(usual.minWaitMs, maxMs ?? usual.maxWaitMs);
  return { minWait: `${shortestMs}ms`, maxWait: `${Math.max(shortestMs, maxMs ?? usual.maxWaitMs)}ms` };
}

function readAttempts(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,4}$/.test(text.trim())) return undefined;
  const attempts = Number(text);
  return attempts >= 1 && attempts <= MAX_ATTEMPTS ? attempts : undefined;
}

function readCodes(text: string | undefined): number[] | undefined {
  const words = (text ?? '').split(',').map((word) => word.trim());
  if (words.length > MAX_CODES || !words.every((word) => /^[45]\d\d$/.test(word))) return undefined;
  return [...new Set(words.map(Number))];
}

function readWaitMs(text: string | undefined): number | undefined {
  const ms = text === undefined ? undefined : parseDurationMs(text.trim());
  return ms !== undefined && ms <= DAY_MS ? ms : undefined;
}
