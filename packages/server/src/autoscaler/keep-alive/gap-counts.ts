/** Shorter gaps are as good as none. */
const SHORTEST_MS = 1_000;
/** Longer gaps are counted, but predict nothing. */
const LONGEST_MS = 86_400_000;
/** Each bin is this much wider than the one before, so that every gap is known to 5 %. */
const GROWTH = 1.05;
const BINS = Math.ceil(Math.log(LONGEST_MS / SHORTEST_MS) / Math.log(GROWTH)) + 1;
/** Beyond this many gaps all counts are halved, so that what is long ago loses its weight. */
const MOST_GAPS = 256;

/** How often the gaps between calls of a function were how long. */
export interface GapCounts {
  /** Gaps by length, from the shortest. */
  readonly bins: readonly number[];
  readonly total: number;
  /** Gaps too long to be in any bin. */
  readonly beyond: number;
}

/** No gaps yet. */
export const NO_GAPS: GapCounts = { bins: Array.from({ length: BINS }, () => 0), total: 0, beyond: 0 };

/** The counts with one more gap. */
export function addGap(counts: GapCounts, gapMs: number): GapCounts {
  const { total, beyond } = counts;
  if (gapMs > LONGEST_MS) return { ...counts, beyond: beyond + 1 };
  const index = gapMs <= SHORTEST_MS ? 0 : Math.ceil(Math.log(gapMs / SHORTEST_MS) / Math.log(GROWTH));
  const bins = counts.bins.slice();
  bins[index] = (bins[index] ?? 0) + 1;
  if (total < MOST_GAPS) return { bins, total: total + 1, beyond };
  const halved = bins.map((count) => Math.floor(count / 2));
  return { bins: halved, total: halved.reduce((sum, count) => sum + count, 0), beyond: Math.floor(beyond / 2) };
}

/** The bounds in milliseconds between which the gap lies that `share` of all gaps do not exceed. */
export function gapAt(counts: GapCounts, share: number): { readonly fromMs: number; readonly toMs: number } {
  let left = Math.max(1, Math.ceil(share * counts.total));
  for (let bin = 0; bin < BINS; bin += 1) {
    left -= counts.bins[bin] ?? 0;
    if (left > 0) continue;
    return { fromMs: bin === 0 ? 0 : SHORTEST_MS * GROWTH ** (bin - 1), toMs: SHORTEST_MS * GROWTH ** bin };
  }
  return { fromMs: 0, toMs: LONGEST_MS };
}
