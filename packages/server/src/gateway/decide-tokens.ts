import type { RateLimit } from '@ebb/contract';

/** What floating point loses on the way of a whole token. */
const TOLERANCE = 1e-9;

/** A token bucket as it was at a moment, in milliseconds of a clock that never goes back. */
export interface Bucket {
  readonly tokens: number;
  readonly at: number;
}

/** What came of asking a bucket. */
export interface Drawn {
  readonly bucket: Bucket;
  /** Of those asked for. */
  readonly granted: number;
  /** How long it takes until there is another token, in milliseconds; 0 when none was refused. */
  readonly retryAfterMs: number;
}

/**
 * Takes up to `asked` whole tokens at `now`. A bucket begins full, gains `perSecond` tokens evenly and never has more
 * than `burst`: so in no time of `t` seconds more than `burst + perSecond × t` are granted.
 */
export function decideTokens(bucket: Bucket | undefined, limit: RateLimit, asked: number, now: number): Drawn {
  const tokens = tokensAt(bucket, limit, now);
  const granted = Math.min(asked, Math.floor(tokens + TOLERANCE));
  const left = Math.max(0, tokens - granted);
  const retryAfterMs = granted < asked ? Math.ceil(((1 - left) * 1000) / limit.perSecond) : 0;
  return { bucket: { tokens: left, at: now }, granted, retryAfterMs };
}

/** Puts tokens back that were granted and not used. */
export function putBack(bucket: Bucket | undefined, limit: RateLimit, count: number, now: number): Bucket {
  return { tokens: Math.min(limit.burst, tokensAt(bucket, limit, now) + count), at: now };
}

function tokensAt(bucket: Bucket | undefined, { perSecond, burst }: RateLimit, now: number): number {
  if (!bucket) return burst;
  return Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.at) * perSecond) / 1000);
}
