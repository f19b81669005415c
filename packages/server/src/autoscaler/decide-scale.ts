import type { ResolvedLimits } from '@ebb/contract';

/** A load that exceeds what instances bear by less than this is a rounding error, no reason for another instance. */
const TOLERANCE = 1e-6;
/** A load of this many times what the stable window says is a burst. */
const BURST_FACTOR = 2;
const MINUTE_MS = 60_000;

/** What is known of one version at the moment its size is decided. */
export interface ScaleObservation {
  /** Requests that hold a slot. */
  readonly inFlight: number;
  /** Requests that wait for one. */
  readonly waiting: number;
  /** Instances that can take requests. */
  readonly ready: number;
  /** Instances on their way. */
  readonly starting: number;
  /** For every ready instance that holds no request: how long, in milliseconds. */
  readonly idleMs: readonly number[];
  /** Whether the version no longer serves new requests and only finishes what it has. */
  readonly retiring: boolean;
}

/** What is known of one version now and over the recent past. */
export interface ScaleWindows {
  readonly seen: ScaleObservation;
  /** Mean load over the stable window, in what the mode counts; undefined where nothing is known (S1). */
  readonly stable: number | undefined;
  /** Mean load over the burst window. */
  readonly burst: number | undefined;
  /** Fewest instances for other reasons than load: the spec, a schedule, a predicted call. */
  readonly floor: { readonly count: number; readonly reason: string };
  /** Asynchronous calls that were not begun yet; they count in mode `queue`. Absent for none. */
  readonly backlog?: number;
  /** How long an instance may be idle, in milliseconds, by the keep-alive policy. */
  readonly keepMs: number;
}

/** What a decision has to know of those before it. */
export interface ScaleState {
  /** Starts of the last minute. */
  readonly ups: readonly ScaleChange[];
  /** Instances given up in the last minute. */
  readonly downs: readonly ScaleChange[];
  /** The size a burst asked for, and until when it is kept. */
  readonly burst?: { readonly size: number; readonly untilAt: number };
  /**
   * With a `downDelayMs`: since when the load is known, and the sizes that were needed within the delay, each with the
   * last moment it was; later ones are smaller, so the first is the most.
   */
  readonly needed?: {
    readonly sinceAt: number;
    readonly sizes: readonly { readonly size: number; readonly at: number }[];
  };
}

/** Instances started or given up at a moment. */
export interface ScaleChange {
  readonly at: number;
  readonly count: number;
}

/** How many instances there should be, or that nothing is to be done; `next` is handed to the next decision. */
export type ScaleDecision =
  | {
      readonly kind: 'scale';
      readonly desired: number;
      /** Of `desired`, those that are wanted whatever the load is when they start. */
      readonly floor: number;
      readonly reason: string;
      readonly next: ScaleState;
    }
  | { readonly kind: 'hold'; readonly reason: string; readonly next: ScaleState };

/** What the first decision about a version knows of those before it. */
export const INITIAL_SCALE_STATE: ScaleState = { ups: [], downs: [] };

/**
 * Decides the size of one version. It grows at once to what the load of this moment, of the burst window or of the
 * stable window needs, whichever is most, between `min` and `max`. It gives up instances that hold no request: those
 * idle for `keepMs`, and with a `downDelayMs` also others, but for the last one, after fewer would have done for so
 * long. A retiring version has no minimum and gives idle instances up immediately. `now` and everything else is in
 * milliseconds of one clock that never goes back.
 */
export function decideScale(
  limits: ResolvedLimits,
  windows: ScaleWindows | undefined,
  previous: ScaleState,
  now: number,
): ScaleDecision {
  if (!windows) return { kind: 'hold', reason: 'no data', next: previous };
  const { seen } = windows;
  const have = seen.ready + seen.starting;
  const need = seen.retiring ? needOfRetiring(limits, seen) : needOf(limits, windows, previous, now);
  const next = nextState(previous, need, windows, limits.scaling.downDelayMs, now);
  if (need.count > have) return grow(limits, windows, need, next);
  if (need.keep >= have) return { kind: 'hold', reason: have === 0 ? 'nothing to do' : need.reason, next };
  return shrink(limits, windows, need, next, now);
}

/** The state after a decision was carried out: `started` and `stopped` say how far it could be. */
export function foldChange(
  state: ScaleState,
  change: { readonly started: number; readonly stopped: number },
  now: number,
): ScaleState {
  const { started, stopped } = change;
  return {
    ...state,
    ups: started > 0 ? [...state.ups, { at: now, count: started }] : state.ups,
    downs: stopped > 0 ? [...state.downs, { at: now, count: stopped }] : state.downs,
  };
}

interface Need {
  /** Instances to start up to. */
  readonly count: number;
  /** Of `count`, those not due to requests that are here now. */
  readonly floor: number;
  /** Instances not to go below, at least `count`. */
  readonly keep: number;
  readonly reason: string;
  readonly burst?: { readonly size: number; readonly untilAt: number } | undefined;
}

function needOfRetiring({ scaleMax, concurrency }: ResolvedLimits, seen: ScaleObservation): Need {
  const count = Math.min(scaleMax, divide(seen.inFlight + seen.waiting, concurrency));
  return { count, floor: 0, keep: count, reason: 'replaced by a newer version' };
}

function needOf(limits: ResolvedLimits, windows: ScaleWindows, previous: ScaleState, now: number): Need {
  const { scaling, scaleMax } = limits;
  const { floor } = windows;
  const current = needNow(limits, windows.seen);
  const burst = divide(windows.burst ?? 0, scaling.target);
  const stable = divide(windows.stable ?? 0, scaling.target);
  const held = decideBurst(scaling, Math.max(current.count, burst), stable, previous, now);
  // Where calls at once or the line count, this moment says what is lacking; the past only says what may be needed again.
  const grows = scaling.mode === 'rps' || scaling.mode === 'cpu';
  const past = [
    { count: burst, reason: `${describeLoad(limits, windows.burst)} in the burst window` },
    { count: stable, reason: `${describeLoad(limits, windows.stable)} in the stable window` },
  ];
  const kept = scaling.mode === 'queue' ? [needOfBacklog(limits, windows)] : [];
  const wanted = mostOf([current, floor, ...kept, ...(grows ? past : [])]);
  const aside = mostOf([floor, ...kept, ...(grows ? past : [])]);
  const keep = Math.max(wanted.count, burst, stable, held?.size ?? 0);
  return {
    count: Math.min(scaleMax, wanted.count),
    floor: Math.min(scaleMax, aside.count),
    keep: Math.min(scaleMax, keep),
    reason: wanted.reason,
    burst: held,
  };
}

interface Count {
  readonly count: number;
  readonly reason: string;
}

function mostOf(counts: readonly Count[]): Count {
  return counts.reduce((most, one) => (one.count > most.count ? one : most));
}

/**
 * What calls need that are still in the queue. Those that were taken from it and wait in line are not added: how long the
 * queue is comes a little late, and would have them twice.
 */
function needOfBacklog({ scaling }: ResolvedLimits, { backlog = 0 }: ScaleWindows): Count {
  const reason = backlog === 1 ? '1 call is in the queue' : `${backlog} calls are in the queue`;
  return { count: divide(backlog, scaling.target), reason };
}

/** What the requests that are here now need, in any mode. */
function needNow({ scaling, concurrency }: ResolvedLimits, { inFlight, waiting }: ScaleObservation) {
  const load = inFlight + waiting;
  const reason = load === 1 ? '1 call at once' : `${load} calls at once`;
  if (scaling.mode === 'concurrency') return { count: divide(load, scaling.target), reason };
  if (scaling.mode !== 'queue') return { count: divide(load, concurrency), reason };
  const line = Math.max(divide(waiting, scaling.target), load > 0 ? 1 : 0);
  const held = divide(inFlight, concurrency);
  return line >= held
    ? { count: line, reason: waiting === 1 ? '1 call waits' : `${waiting} calls wait` }
    : { count: held, reason };
}

/** A burst's size is kept until the stable window has seen it go by. */
function decideBurst(
  scaling: ResolvedLimits['scaling'],
  quick: number,
  stable: number,
  previous: ScaleState,
  now: number,
) {
  const kept = previous.burst && previous.burst.untilAt > now ? previous.burst : undefined;
  if (quick < BURST_FACTOR * Math.max(1, stable)) return kept;
  const untilAt = now + scaling.windowMs - scaling.burstWindowMs;
  return { size: Math.max(quick, kept?.size ?? 0), untilAt };
}

function nextState(
  previous: ScaleState,
  need: Need,
  windows: ScaleWindows,
  downDelayMs: number | undefined,
  now: number,
): ScaleState {
  const isKnown = downDelayMs !== undefined && windows.stable !== undefined;
  return {
    ups: lastMinute(previous.ups, now),
    downs: lastMinute(previous.downs, now),
    ...(need.burst ? { burst: need.burst } : {}),
    ...(isKnown ? { needed: neededWithin(downDelayMs, previous.needed, need.keep, now) } : {}),
  };
}

function neededWithin(delayMs: number, previous: ScaleState['needed'], size: number, now: number) {
  const { sinceAt = now, sizes = [] } = previous ?? {};
  const larger = sizes.filter((one) => one.size > size && one.at > now - delayMs);
  return { sinceAt, sizes: [...larger, { size, at: now }] };
}

function lastMinute(changes: readonly ScaleChange[], now: number): readonly ScaleChange[] {
  const isOld = ({ at }: ScaleChange) => at <= now - MINUTE_MS;
  return changes.some(isOld) ? changes.filter((change) => !isOld(change)) : changes;
}

function grow(limits: ResolvedLimits, { seen, floor }: ScaleWindows, need: Need, next: ScaleState): ScaleDecision {
  const have = seen.ready + seen.starting;
  const allowed = have + allowance(limits.scaling.upPerMinute, next.ups);
  // Scaling from zero is what a call waits for, and a minimum is a promise.
  const promised = Math.min(need.count, Math.max(1, floor.count));
  const desired = Math.min(need.count, Math.max(promised, allowed));
  if (desired <= have) return { kind: 'hold', reason: 'as many as "upRate" allows were started', next };
  return { kind: 'scale', desired, floor: need.floor, reason: need.reason, next };
}

function shrink(
  limits: ResolvedLimits,
  { seen, keepMs }: ScaleWindows,
  need: Need,
  next: ScaleState,
  now: number,
): ScaleDecision {
  const { downDelayMs, downPerMinute } = limits.scaling;
  const have = seen.ready + seen.starting;
  const idleLimitMs = seen.retiring ? 0 : keepMs;
  const expired = seen.idleMs.filter((ms) => ms >= idleLimitMs).length;
  const isLongKnown = next.needed !== undefined && now - next.needed.sinceAt >= (downDelayMs ?? 0);
  const most = isLongKnown ? (next.needed.sizes[0]?.size ?? have) : have;
  const surplus = Math.min(seen.idleMs.length, have - Math.max(1, most));
  const leaving = Math.min(have - need.keep, Math.max(expired, surplus));
  if (leaving <= 0) return { kind: 'hold', reason: 'idle, but not for long enough', next };
  const allowed = seen.retiring ? leaving : Math.min(leaving, allowance(downPerMinute, next.downs));
  if (allowed <= 0) return { kind: 'hold', reason: 'as many as "downRate" allows were given up', next };
  return { kind: 'scale', desired: have - allowed, floor: need.floor, reason: describeLeaving(), next };

  function describeLeaving(): string {
    if (seen.retiring) return need.reason;
    if (expired >= leaving) return `${allowed} idle for ${describeMs(idleLimitMs)}`;
    return `${have - Math.max(1, most)} fewer would have done for ${describeMs(downDelayMs ?? 0)}`;
  }
}

/** How many more may change after those of the last minute, so that no minute sees more than `perMinute`. */
function allowance(perMinute: number | undefined, recent: readonly ScaleChange[]): number {
  if (perMinute === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(0, perMinute - recent.reduce((sum, { count }) => sum + count, 0));
}

function divide(load: number, bears: number): number {
  return Math.max(0, Math.ceil(load / bears - TOLERANCE));
}

const LOADS = { concurrency: 'calls at once', rps: 'calls a second', cpu: 'cores in use', queue: 'calls waiting' };

function describeLoad({ scaling }: ResolvedLimits, load = 0): string {
  return `${Number(load.toPrecision(3))} ${LOADS[scaling.mode]}`;
}

function describeMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toFixed(1))} s`;
}
