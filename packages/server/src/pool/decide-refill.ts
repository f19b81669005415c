/** One shape of spares as {@link decideRefill} sees it. */
export interface ShapeState {
  readonly key: string;
  /** Spares that are ready. */
  readonly ready: number;
  /** When one was last asked for, monotonic milliseconds; Infinity for the shape that is always kept. */
  readonly askedAtMs: number;
}

/** What keeps the spares as they should be. */
export interface RefillDecision {
  /** Shape of which one more is made now. */
  readonly make?: string;
  /** Shapes of which one is given up, once for each. */
  readonly giveUp: readonly string[];
}

/** A shape nobody asked for in this time is no longer kept. */
const KEEP_SHAPE_MS = 15 * 60_000;
/** Shapes kept at once; what fewer functions have is the first to go. */
const MAX_SHAPES = 4;

/**
 * Decides what is made and what goes: `size` spares of each shape that is kept, those asked for last first, and never
 * more than `room`, which is what the host's bound leaves. One spare is made at a time.
 */
export function decideRefill(
  shapes: readonly ShapeState[],
  bounds: { readonly size: number; readonly room: number; readonly nowMs: number },
): RefillDecision {
  const kept = shapes
    .filter(({ askedAtMs }) => bounds.nowMs - askedAtMs < KEEP_SHAPE_MS)
    .toSorted((a, b) => b.askedAtMs - a.askedAtMs)
    .slice(0, MAX_SHAPES);
  let room = Math.max(0, bounds.room);
  const giveUp: string[] = [];
  let make: string | undefined;
  for (const shape of kept) {
    const may = Math.min(bounds.size, room);
    const isMade = make === undefined && shape.ready < may;
    if (isMade) make = shape.key;
    room -= Math.min(shape.ready, may) + (isMade ? 1 : 0);
    for (let surplus = shape.ready - may; surplus > 0; surplus -= 1) giveUp.push(shape.key);
  }
  for (const { key, ready } of shapes) {
    if (!kept.some((shape) => shape.key === key)) giveUp.push(...Array.from({ length: ready }, () => key));
  }
  return { ...(make === undefined ? {} : { make }), giveUp };
}
