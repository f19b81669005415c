/** Nobody is waited for longer than this because it said so. */
const MAX_MS = 86_400_000;

/** What a `Retry-After` header asks for, in milliseconds from `now`: seconds or an HTTP date. Undefined for anything else. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Math.min(Number(text) * 1000, MAX_MS);
  // Only the form in which HTTP writes dates; Date.parse takes nearly anything.
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - now), MAX_MS);
}
