/** A frozen instance that could be stopped to free its memory. */
export interface EvictionCandidate {
  readonly id: string;
  readonly memoryBytes: number;
  /** Time since its last request, in milliseconds. */
  readonly idleMs: number;
}

/**
 * Which frozen instances are stopped so that all of them together keep within `maxBytes`: the least valuable first,
 * which are those that took the most memory for the longest time without being asked for anything. `usedBytes` is what
 * all frozen instances take, those that may not be stopped included.
 */
export function decideEviction<T extends EvictionCandidate>(
  candidates: readonly T[],
  limits: { readonly usedBytes: number; readonly maxBytes: number },
): T[] {
  let excessBytes = limits.usedBytes - limits.maxBytes;
  if (excessBytes <= 0) return [];
  const waste = ({ memoryBytes, idleMs }: T) => memoryBytes * idleMs;
  const victims: T[] = [];
  for (const candidate of candidates.toSorted((a, b) => waste(b) - waste(a))) {
    if (excessBytes <= 0) break;
    victims.push(candidate);
    excessBytes -= candidate.memoryBytes;
  }
  return victims;
}
