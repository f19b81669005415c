const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 3.6e6,
};

const PARTS = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
const WHOLE = /^\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;

/**
 * Milliseconds meant by a duration as programs in Go write it, such as `300ms`, `1h30m` or `0`; undefined for what is
 * none, negative, or longer than a double counts exactly.
 */
export function parseGoDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (text.length > 100 || !WHOLE.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit = ''] of text.matchAll(PARTS)) total += Number(amount) * (UNITS[unit] ?? Number.NaN);
  return total <= Number.MAX_SAFE_INTEGER ? total : undefined;
}

/** The same where a plain whole number means seconds, as function images and their environment have it. */
export function parseGoTimeoutMs(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) * 1000 : parseGoDurationMs(text);
}
