/** What those who are called can take at once. */
export interface LaneRoom {
  /** Calls that one instance takes at once. */
  readonly perInstance: number;
  /** Instances that could serve now. */
  readonly ready: number;
  /** Most calls at once, with all the instances there may be. */
  readonly most: number;
  /** Most attempts at once, where the function says so. */
  readonly given?: number | undefined;
}

/** What a lane has learnt. Moments are monotonic milliseconds. */
export interface LaneState {
  /** Most attempts at once, as whoever is called let us find out; Infinity while nothing spoke against more. */
  readonly found: number;
  /** Nothing begins before. */
  readonly heldUntilMs: number;
  /** What comes before is the echo of the last cut and cuts no more. */
  readonly cutUntilMs: number;
  /** How often in a row the function itself asked to come later. */
  readonly asked: number;
}

/** What an attempt says of its lane. */
export type LaneSign =
  /** An answer, whatever its status. */
  | { readonly kind: 'taken' }
  /** The platform takes no more calls of the function now: a limit, a full line, no instance in time. */
  | { readonly kind: 'full'; readonly retryAfterMs: number }
  /** The function itself asks to come later. */
  | { readonly kind: 'asked'; readonly retryAfterMs: number }
  /** It cannot be started: one attempt at a time finds out when it can again. */
  | { readonly kind: 'broken'; readonly retryAfterMs: number };

/** A lane of which nothing is known yet. */
export const NEW_LANE: LaneState = { found: Infinity, heldUntilMs: 0, cutUntilMs: 0, asked: 0 };

/** What remains of the limit after it was too much. */
const CUT = 0.5;
/** Answers to what was begun before a cut come for about so long. */
const ECHO_MS = 500;
/** Longest hold: after it one attempt asks anew. */
const MAX_HOLD_MS = 60_000;
/** With more demand than instances, this many times what they take is begun: the rest waits in line and is why more start. */
const LEAD = 2;

/** Most attempts of the lane at once, at least 1. */
export function laneLimit({ found }: LaneState, { perInstance, ready, most, given }: LaneRoom): number {
  const room = given ?? Math.min(most, Math.max(perInstance, LEAD * ready * perInstance));
  return Math.max(1, Math.floor(Math.min(found, room)));
}

/**
 * What a lane learns from an attempt, with `running` of them under way: a refusal halves what may run at once and holds
 * the lane as long as was asked for; each answer then adds its share of one more. A function that asks to come later is
 * held only when nothing else was heard of it in between: a single call may be what it does not want.
 */
export function decideLaneLimit(state: LaneState, sign: LaneSign, running: number, nowMs: number): LaneState {
  if (sign.kind === 'taken') {
    const found = state.found + 1 / Math.max(1, state.found);
    // So far above what runs that it says nothing any more.
    return { ...state, asked: 0, found: found > FREE_AGAIN && found > LEAD * running ? Infinity : found };
  }
  const holdMs = Math.min(MAX_HOLD_MS, Math.max(0, sign.retryAfterMs));
  const asked = sign.kind === 'asked' ? state.asked + 1 : state.asked;
  const isHeld = sign.kind !== 'asked' || asked > 1;
  const heldUntilMs = isHeld ? Math.max(state.heldUntilMs, nowMs + holdMs) : state.heldUntilMs;
  if (sign.kind === 'broken') return { found: 1, heldUntilMs, cutUntilMs: nowMs + ECHO_MS, asked };
  if (nowMs < state.cutUntilMs) return { ...state, heldUntilMs, asked };
  const found = Math.max(1, Math.floor(Math.min(state.found, Math.max(1, running)) * CUT));
  return { found, heldUntilMs, cutUntilMs: nowMs + Math.max(ECHO_MS, isHeld ? holdMs : 0), asked };
}

/** A limit that grew beyond is compared with what runs. */
const FREE_AGAIN = 32;
