import { z } from 'zod';
import { parseDurationMs, parseSizeBytes } from './quantity.ts';

/** A size the user writes (`256Mi`) between two bounds in bytes; `allowed` ends the sentence that refuses another. */
export function size(minBytes: number, maxBytes: number, allowed: string) {
  return z.union([z.string(), z.number()]).refine((value) => {
    const bytes = parseSizeBytes(value);
    return bytes !== undefined && bytes >= minBytes && bytes <= maxBytes;
  }, `must be ${allowed}`);
}

/** A duration the user writes (`60s`) between two bounds in milliseconds; `allowed` as for {@link size}. */
export function duration(minMs: number, maxMs: number, allowed: string) {
  return z.union([z.string(), z.number()]).refine((value) => {
    const ms = parseDurationMs(value);
    return ms !== undefined && ms >= minMs && ms <= maxMs;
  }, `must be ${allowed}`);
}
