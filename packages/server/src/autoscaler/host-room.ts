import { callsPerInstance, type KeepAlive } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import type { Reservations } from '../pool/call-limits.ts';
import type { AgeLog } from './age-log.ts';
import { decideShares, type ShareClaim } from './decide-share.ts';
import { chooseVictims, type Lacking } from './keep-alive/choose-victims.ts';
import { KEEP_ALIVE_POLICIES } from './keep-alive/policies.ts';
import type { Scalable } from './scalable.ts';
import type { VersionScaler } from './version-scaler.ts';

/** An instance that had work within this time is not given to those who have more than their share. */
const RECENT_MS = 1_000;
/** Where there is less than one instance for each, somebody keeps theirs for this long. */
const TURN_MS = 1_000;
/** Later than any moment. */
const LAST_TURN = Number.MAX_SAFE_INTEGER / 2;
/** Who could not have what they wanted are thought of for this long. */
const SHORT_MS = 1_000;
/** Shares hold for this long, so that many who wait do not have them worked out for each. */
const SHARES_MS = 20;
const MADE_ROOM = 'made room for other functions';
const FAIR_SHARE = 'gave instances beyond its fair share to other functions';

/** What a {@link HostRoom} is made with. */
export interface HostRoomOptions {
  /** Every version with instances or waiting requests. */
  readonly all: () => Iterable<Scalable>;
  readonly scalerOf: (scalable: Scalable) => VersionScaler;
  readonly maxInstances: number;
  /** Most memory of all instances together; absent for no bound. */
  readonly memoryBudgetBytes?: number | undefined;
  readonly keepAlive?: KeepAlive | undefined;
  readonly clock: Clock;
  /** The worth of what was given up, over time. */
  readonly ages: AgeLog;
  /** What is kept for functions and namespaces. */
  readonly reservations: () => Reservations;
}

type Shares = ReadonlyMap<Scalable, number>;

/** Shares the host's instances and memory between versions: who wants more gets what is free, or what is theirs by right. */
export class HostRoom {
  #options: HostRoomOptions;
  /** Who could not have what they wanted, and until when that is remembered. */
  readonly #short = new Map<Scalable, number>();
  #last: { readonly at: number; readonly wants: ReadonlyMap<Scalable, number>; readonly shares: Shares } | undefined;
  /** Since when a version has instances, or waits for its first one. */
  readonly #since = new WeakMap<Scalable, { readonly holds: boolean; readonly at: number }>();

  constructor(options: HostRoomOptions) {
    this.#options = options;
  }

  /** Sets the bounds of the host anew. */
  rebound(bounds: Pick<HostRoomOptions, 'maxInstances' | 'memoryBudgetBytes'>): void {
    this.#options = { ...this.#options, ...bounds };
  }

  /**
   * How many of `wanted` instances there is room for now, within the version's fair share where others lack something.
   * Makes room for the rest of the share, by the least valuable idle instances elsewhere, then by those that others
   * have beyond their share. That counts only once they are gone (E3), and is not asked for twice.
   */
  roomFor(scalable: Scalable, wanted: number): number {
    const { maxInstances, memoryBudgetBytes = Number.POSITIVE_INFINITY } = this.#options;
    const used = { instances: 0, bytes: 0 };
    const leaving = { instances: 0, bytes: 0 };
    for (const { size, ready, starting, version } of this.#options.all()) {
      const gone = size - ready - starting;
      used.instances += size;
      used.bytes += size * version.limits.memoryBytes;
      leaving.instances += gone;
      leaving.bytes += gone * version.limits.memoryBytes;
    }
    const each = scalable.version.limits.memoryBytes;
    const freeInstances = Math.max(0, maxInstances - used.instances);
    // An instance that is larger than the whole budget runs alone rather than never.
    const freeBytes = used.instances === 0 ? Math.max(each, memoryBudgetBytes) : memoryBudgetBytes - used.bytes;
    const reservations = this.#options.reservations();
    const isEnough = wanted <= freeInstances && wanted * each <= freeBytes;
    if (isEnough && !this.#isContended(scalable) && isNothing(reservations)) return wanted;

    const shares = this.#shares(scalable, wanted, reservations);
    const entitled = Math.min(wanted, Math.max(0, (shares.get(scalable) ?? 0) - scalable.ready - scalable.starting));
    const lacking = {
      instances: entitled - freeInstances - leaving.instances,
      bytes: entitled * each - freeBytes - leaving.bytes,
    };
    if (lacking.instances > 0 || lacking.bytes > 0) this.#makeRoom(lacking, (entitled - 1) * each, shares);
    const room = Math.min(entitled, freeInstances, Math.max(0, Math.floor(freeBytes / each)));
    if (room < wanted) this.#short.set(scalable, this.#options.clock.monotonic() + SHORT_MS);
    else this.#short.delete(scalable);
    return room;
  }

  /** Whether somebody else lacks instances, so that what is free is not for who asks first. */
  #isContended(asking: Scalable): boolean {
    if (this.#short.size === 0) return false;
    const now = this.#options.clock.monotonic();
    for (const [scalable, until] of this.#short) if (until <= now) this.#short.delete(scalable);
    return this.#short.size > (this.#short.has(asking) ? 1 : 0);
  }

  #shares(asking: Scalable, wanted: number, reservations: Reservations): Shares {
    const { maxInstances, memoryBudgetBytes = Number.POSITIVE_INFINITY, clock } = this.#options;
    const now = clock.monotonic();
    const last = this.#last;
    const wants = asking.ready + asking.starting + wanted;
    if (last && now - last.at < SHARES_MS && (last.wants.get(asking) ?? 0) >= wants) return last.shares;
    const epochMs = clock.now();
    const all = [...this.#options.all()];
    const claims = all.map((one) => this.#claim(one, one === asking ? wants : 0, now, epochMs));
    const capacity = { instances: maxInstances, bytes: memoryBudgetBytes };
    const amounts = decideShares(claims, { capacity, ...reservations });
    const shares = new Map(all.map((one, index) => [one, amounts[index] ?? 0]));
    this.#last = { at: now, wants: new Map(all.map((one, index) => [one, claims[index]?.wants ?? 0])), shares };
    return shares;
  }

  #claim(scalable: Scalable, wants: number, now: number, epochMs: number): ShareClaim {
    const { version, ready, starting, inFlight, waiting, retiring } = scalable;
    const { limits, namespace, name } = version;
    const holds = ready + starting;
    const floor = retiring ? 0 : this.#options.scalerOf(scalable).floor(now, epochMs).count;
    const needs = Math.min(
      limits.scaleMax,
      Math.max(floor, Math.ceil((inFlight + waiting) / callsPerInstance(limits))),
    );
    const idle = scalable.idleMs().filter((ms) => ms >= RECENT_MS).length;
    return {
      namespace,
      name,
      wants: Math.max(needs, wants),
      used: retiring ? 0 : holds - idle,
      holds,
      bytes: limits.memoryBytes,
      turn: this.#turn(scalable, holds, now),
    };
  }

  /**
   * The place among those who want their first instance: who has one keeps it for a while, then come those who wait, the
   * longest first, then those who had theirs, the longest last. So nobody waits for ever.
   */
  #turn(scalable: Scalable, holds: number, now: number): number {
    const known = this.#since.get(scalable);
    // An instance that is still starting has served nobody.
    const isServed = scalable.ready > 0;
    if (known?.holds !== isServed) this.#since.set(scalable, { holds: isServed, at: now });
    const at = known?.holds === isServed ? known.at : now;
    if (holds === 0) return at;
    return !isServed || now - at < TURN_MS ? Number.NEGATIVE_INFINITY : LAST_TURN + (now - at);
  }

  /** `spareBytes` of what is lacking may stay lacking; where not even the rest can be had, nobody goes in vain. */
  #makeRoom(lacking: Lacking, spareBytes: number, shares: Shares): void {
    const { clock, keepAlive = 'fixed', scalerOf, ages } = this.#options;
    const [now, epochMs] = [clock.monotonic(), clock.now()];
    const spare = [...shares.keys()].flatMap((scalable) => scalerOf(scalable).spare(now, epochMs));
    const { victims, age } = chooseVictims(spare, lacking, KEEP_ALIVE_POLICIES[keepAlive]);
    const counts = new Map<Scalable, number>();
    const left = { ...lacking };
    const leaves = (scalable: Scalable) => {
      counts.set(scalable, (counts.get(scalable) ?? 0) + 1);
      left.instances -= 1;
      left.bytes -= scalable.version.limits.memoryBytes;
    };
    for (const { scaler } of victims) leaves(scaler.scalable);
    const beyond = new Map<Scalable, number>();
    for (const scalable of this.#beyondShare(shares, counts)) {
      if (left.instances <= 0 && left.bytes <= 0) break;
      leaves(scalable);
      beyond.set(scalable, (beyond.get(scalable) ?? 0) + 1);
    }
    if (left.bytes > spareBytes) return;
    ages.raise(age, now);
    for (const [scalable, count] of counts) {
      const busy = beyond.get(scalable) ?? 0;
      if (busy > 0) scalable.giveUp(count, FAIR_SHARE);
      else scalable.scaleTo(scalable.ready + scalable.starting - count, { floor: 0, reason: MADE_ROOM });
    }
  }

  /** Who has instances beyond its share and its minimum, once for each; who has most of them first. */
  #beyondShare(shares: Shares, gone: ReadonlyMap<Scalable, number>): Scalable[] {
    const { clock, scalerOf } = this.#options;
    const [now, epochMs] = [clock.monotonic(), clock.now()];
    const found: { readonly scalable: Scalable; readonly rank: number }[] = [];
    for (const [scalable, share] of shares) {
      const holds = scalable.ready + scalable.starting - (gone.get(scalable) ?? 0);
      const floor = scalable.retiring ? 0 : scalerOf(scalable).floor(now, epochMs).count;
      for (let rank = holds - Math.max(share, floor); rank > 0; rank -= 1) found.push({ scalable, rank });
    }
    return found.toSorted((left, right) => right.rank - left.rank).map(({ scalable }) => scalable);
  }
}

function isNothing({ functions, namespaces }: Reservations): boolean {
  return functions.length === 0 && namespaces.size === 0;
}
