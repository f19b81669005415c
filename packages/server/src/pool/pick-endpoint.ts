import type { Endpoint } from './endpoint.ts';

/** What of an endpoint decides whether it gets the next request. */
export type Candidate = Pick<Endpoint, 'accepting' | 'inFlight' | 'capacity'>;

/** From this concurrency on, one request more or less on an instance matters little. */
const MANY_AT_ONCE = 100;
/** So few endpoints are looked through as fast as two are drawn. */
const FEW = 16;
/** A draw in vain is repeated this often before all are looked through. */
const DRAWS = 3;

/**
 * The endpoint for the next request, or undefined when none has a free slot. Usually the least loaded one; where an
 * instance takes very many at once and there are many of them, the better of two drawn ones, which is nearly as even
 * and costs the same however many there are. Ties go to the oldest, so that the youngest fall idle.
 */
export function pickEndpoint<T extends Candidate>(
  endpoints: readonly T[],
  inFlight: number,
  random: () => number,
): T | undefined {
  if (endpoints.length > FEW && (endpoints[0]?.capacity ?? 0) >= MANY_AT_ONCE) {
    // Those beyond twice the load are not drawn from, as the least loaded would not need them either.
    const count = Math.min(endpoints.length, FEW + 2 * inFlight);
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const found = betterOfTwo(endpoints, count, random);
      if (found) return found;
    }
  }
  return leastLoaded(endpoints);
}

function leastLoaded<T extends Candidate>(endpoints: readonly T[]): T | undefined {
  let best: T | undefined;
  for (const endpoint of endpoints) {
    if (!isFree(endpoint)) continue;
    if (endpoint.inFlight === 0) return endpoint;
    if (!best || endpoint.inFlight < best.inFlight) best = endpoint;
  }
  return best;
}

function betterOfTwo<T extends Candidate>(endpoints: readonly T[], count: number, random: () => number): T | undefined {
  const one = Math.floor(random() * count);
  // Any of the others, each as likely.
  const other = (one + 1 + Math.floor(random() * (count - 1))) % count;
  const older = endpoints[Math.min(one, other)];
  const younger = endpoints[Math.max(one, other)];
  if (!younger || !isFree(younger)) return older && isFree(older) ? older : undefined;
  if (!older || !isFree(older)) return younger;
  return younger.inFlight < older.inFlight ? younger : older;
}

function isFree({ accepting, inFlight, capacity }: Candidate): boolean {
  return accepting && inFlight < capacity;
}
