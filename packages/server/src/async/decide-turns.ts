/** A lane that has work. */
export interface LaneDemand {
  readonly lane: string;
  readonly namespace: string;
  /** Attempts of it that run. */
  readonly running: number;
  /** How many more it could begin now. */
  readonly wants: number;
  /** Number of the turn in which it last began one; lower ones go first where all else is equal. */
  readonly servedAt: number;
}

/** Somebody who takes part in a share. */
interface Part {
  readonly used: number;
  readonly wants: number;
}

/**
 * Shares free places out: between namespaces, and within each between its lanes, so that those with the fewest attempts
 * running are filled up first, to one level (max-min fair). Of what is left of a level, those get one that were served
 * longest ago. Nobody gets more than they want, and nothing stays free that somebody wants. Lanes without a share are
 * left out.
 */
export function decideTurns(lanes: readonly LaneDemand[], free: number): ReadonlyMap<string, number> {
  const turns = new Map<string, number>();
  const namespaces = [...Map.groupBy(lanes, ({ namespace }) => namespace).values()]
    .map((members) => members.toSorted(byTurn))
    .toSorted((a, b) => byTurn(a[0], b[0]));
  const shares = fill(
    namespaces.map((members) => ({ used: sum(members, 'running'), wants: sum(members, 'wants') })),
    free,
  );
  for (const [i, members] of namespaces.entries()) {
    const given = fill(
      members.map(({ running, wants }) => ({ used: running, wants })),
      shares[i] ?? 0,
    );
    for (const [j, { lane }] of members.entries()) if ((given[j] ?? 0) > 0) turns.set(lane, given[j] ?? 0);
  }
  return turns;
}

/** How much each gets, in the same order. */
function fill(parts: readonly Part[], free: number): number[] {
  const budget = Math.max(0, Math.min(free, sum(parts, 'wants')));
  let low = 0;
  let high = Math.max(0, ...parts.map(({ used, wants }) => used + wants));
  // The highest level that all can be filled up to.
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (total(parts, middle) <= budget) low = middle;
    else high = middle - 1;
  }
  const given = parts.map((part) => upTo(part, low));
  let left = budget - total(parts, low);
  for (const [i, part] of parts.entries()) {
    if (left === 0) break;
    if (upTo(part, low + 1) === given[i]) continue;
    given[i] = (given[i] ?? 0) + 1;
    left -= 1;
  }
  return given;
}

function upTo({ used, wants }: Part, level: number): number {
  return Math.min(wants, Math.max(0, level - used));
}

function total(parts: readonly Part[], level: number): number {
  return parts.reduce((all, part) => all + upTo(part, level), 0);
}

function byTurn(a: LaneDemand | undefined, b: LaneDemand | undefined): number {
  return (a?.servedAt ?? 0) - (b?.servedAt ?? 0);
}

function sum<K extends string>(parts: readonly Readonly<Record<K, number>>[], field: K): number {
  return parts.reduce((all, part) => all + part[field], 0);
}
