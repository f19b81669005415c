import type { VersionKey, WaitReport } from '@ebb/contract';
import type { Version } from '../core/ports.ts';
import type { HeldSlot, SlotSource } from '../gateway/gateway-context.ts';
import { BUSY_WAIT, type SlotFailure } from '../pool/admission.ts';
import type { Ending } from '../pool/ending.ts';
import { Fifo } from '../pool/fifo.ts';
import { InstanceConnections } from '../pool/instance-connections.ts';
import { waitInLine } from '../pool/wait-in-line.ts';
import { EndingQuestions } from './ending-questions.ts';
import type { Desk, Lease, Place } from './leased-desk.ts';
import { type SlotMessage, type SlotRequest, received } from './messages.ts';
import { SlotDemand } from './slot-demand.ts';

/** A lease without a request is given back after this. */
const IDLE_MS = 100;
/** Connections to an instance are closed this long after its last lease. */
const UNUSED_MS = 1_000;
const SWEEP_EVERY_MS = 50;
/** A lease that others wait for serves on for this long, so that short calls do not pay for an exchange each. */
const SLICE_MS = 10;

/** The right to send one request under a lease. */
class LeasedSlot implements HeldSlot {
  readonly endpoint: Place;
  readonly wait: WaitReport | undefined;
  readonly #owner: LeasedSlots;
  readonly #lease: Lease;
  #held = true;

  constructor(owner: LeasedSlots, lease: Lease, wait?: WaitReport) {
    this.endpoint = lease.place;
    this.wait = wait;
    this.#owner = owner;
    this.#lease = lease;
  }

  release(went: 'well' | 'unknown' = 'well'): void {
    if (!this.#held) return;
    this.#held = false;
    if (went === 'well') this.#lease.place.isHealed = true;
    this.#owner.freed(this.#lease);
  }

  ending(callId: string): Promise<Ending | undefined> {
    return this.#owner.ending(this.#lease, callId);
  }

  fail(kind: SlotFailure): void {
    if (!this.#held) return;
    this.#held = false;
    this.#owner.failed(this.#lease, kind);
  }
}

/**
 * The slots of one gateway process, on lease from the first one. A lease serves one call after another without a word
 * to anybody; who finds none waits here, in order, and is asked for there.
 */
export class LeasedSlots implements SlotSource, Disposable {
  readonly #send: (message: SlotRequest) => void;
  readonly #desks = new Map<VersionKey, Desk>();
  readonly #demand: SlotDemand;
  readonly #questions: EndingQuestions;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: { readonly send: (message: SlotRequest) => void }) {
    this.#send = options.send;
    this.#questions = new EndingQuestions(options.send);
    this.#demand = new SlotDemand(options.send);
  }

  tryAcquire(version: Version): HeldSlot | undefined {
    const desk = this.#desks.get(version.key);
    if (!desk || desk.waiters.length > 0) return undefined;
    // The least loaded instance; ties go to the oldest, so that the youngest fall idle.
    let best: Place | undefined;
    for (const place of desk.places.values()) {
      if (place.idle.length > 0 && (!best || busy(place) < busy(best))) best = place;
    }
    const lease = best?.idle.pop();
    if (!lease) return undefined;
    desk.reused += 1;
    return new LeasedSlot(this, lease);
  }

  acquire(version: Version, signal: AbortSignal): HeldSlot | Promise<HeldSlot> {
    return this.tryAcquire(version) ?? this.#wait(version, signal);
  }

  isCold(version: Version): boolean {
    return (this.#desks.get(version.key)?.places.size ?? 0) === 0;
  }

  /** Calls of each version since the last time that needed no new lease. */
  takeReused(): [key: VersionKey, count: number][] {
    const taken: [VersionKey, number][] = [];
    for (const desk of this.#desks.values()) {
      if (desk.reused === 0) continue;
      taken.push([desk.key, desk.reused]);
      desk.reused = 0;
    }
    return taken;
  }

  /** Calls of each version that hold a slot or wait for one. */
  calls(): [key: VersionKey, count: number][] {
    const calls: [VersionKey, number][] = [];
    for (const { key, places, waiters } of this.#desks.values()) {
      let count = waiters.length;
      for (const place of places.values()) count += busy(place);
      if (count > 0) calls.push([key, count]);
    }
    return calls;
  }

  /** Takes what the first process says about slots. */
  receive(message: SlotMessage): void {
    switch (message.kind) {
      case 'grant':
        this.#granted(message);
        return;
      case 'refuse': {
        const desk = this.#deskOf(message.key);
        if (this.#demand.refused(desk)) desk.waiters.pop()?.reject(received(message.error));
        return;
      }
      case 'withdrawn':
        this.#demand.withdrawn(this.#deskOf(message.key), message);
        return;
      case 'recall':
        this.#recall(message.key);
        if (message.round !== undefined) this.#send({ kind: 'recalled', round: message.round });
        return;
      case 'ended':
        this.#questions.answered(message.ask, message.ending);
        return;
      case 'drop':
        for (const desk of this.#desks.values()) {
          const place = desk.places.get(message.instance);
          if (place) this.#drop(place);
        }
    }
  }

  /** For {@link LeasedSlot} alone: a call has ended. */
  freed(lease: Lease): void {
    const { place } = lease;
    if (place.isDropped) {
      this.#giveBack([lease]);
      return;
    }
    const { waiters } = place.desk;
    const isSliceOver = lease.isRecalled && performance.now() - lease.grantedMs >= SLICE_MS;
    const waiter = isSliceOver ? undefined : waiters.shift();
    if (waiter) {
      place.desk.reused += 1;
      // Who had to wait its turn after a start waited for that start as well.
      const wait = place.waitedAt > waiter.after ? place.wait : undefined;
      waiter.resolve(new LeasedSlot(this, lease, wait ?? BUSY_WAIT));
      this.#demand.changed(place.desk);
      return;
    }
    if (lease.isRecalled) {
      this.#giveBack([lease]);
      return;
    }
    lease.idleMs = performance.now();
    place.idle.push(lease);
    this.#sweepLater();
  }

  /** For {@link LeasedSlot} alone. */
  ending(lease: Lease, callId: string): Promise<Ending | undefined> {
    return this.#questions.ask(lease.id, callId);
  }

  /** For {@link LeasedSlot} alone: the instance let the call down. */
  failed(lease: Lease, failure: SlotFailure): void {
    const { place } = lease;
    this.#send({ kind: 'failed', lease: lease.id, failure, healed: place.isHealed });
    place.isHealed = false;
    this.#remove(lease);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#sweep);
    this.#demand[Symbol.dispose]();
    for (const desk of this.#desks.values()) for (const place of desk.places.values()) place.connections.closeAll();
  }

  #deskOf(key: VersionKey): Desk {
    const known = this.#desks.get(key);
    if (known) return known;
    const desk: Desk = { key, places: new Map(), waiters: new Fifo(), asked: 0, withdrawing: 0, waited: 0, reused: 0 };
    this.#desks.set(key, desk);
    return desk;
  }

  #wait(version: Version, signal: AbortSignal): Promise<HeldSlot> {
    const desk = this.#deskOf(version.key);
    const waiting = waitInLine(desk.waiters, {
      after: desk.waited,
      label: `${version.name}.${version.namespace}`,
      waitMs: version.limits.queueWaitMs,
      signal,
      onLeft: () => this.#demand.changed(desk),
    });
    this.#demand.changed(desk);
    return waiting;
  }

  #granted(grant: Extract<SlotMessage, { readonly kind: 'grant' }>): void {
    const desk = this.#deskOf(grant.key);
    desk.asked -= 1;
    const known = desk.places.get(grant.instance);
    const place: Place = known ?? {
      instanceId: grant.instance,
      connections: new InstanceConnections(grant.target, grant.managed),
      target: grant.target,
      desk,
      leases: new Set(),
      idle: [],
      unusedMs: 0,
      isHealed: false,
      isDropped: false,
      wait: undefined,
      waitedAt: 0,
    };
    desk.places.set(grant.instance, place);
    place.isDropped = false;
    if (grant.wait && grant.wait.cause !== 'busy') {
      desk.waited += 1;
      place.wait = grant.wait;
      place.waitedAt = desk.waited;
    }
    const now = performance.now();
    const lease: Lease = {
      id: grant.lease,
      place,
      grantedMs: now,
      isRecalled: grant.hurried,
      idleMs: now,
    };
    place.leases.add(lease);
    const waiter = desk.waiters.shift();
    // Only the call that waited for it can have met a start.
    if (waiter) waiter.resolve(new LeasedSlot(this, lease, grant.wait));
    else if (lease.isRecalled) this.#giveBack([lease]);
    else {
      place.idle.push(lease);
      this.#sweepLater();
    }
    this.#demand.changed(desk);
  }

  #recall(key: VersionKey): void {
    const desk = this.#desks.get(key);
    if (!desk) return;
    for (const place of desk.places.values()) {
      for (const lease of place.leases) lease.isRecalled = true;
      this.#giveBack(place.idle.splice(0));
    }
  }

  #drop(place: Place): void {
    place.isDropped = true;
    this.#giveBack(place.idle.splice(0));
    if (place.leases.size === 0) this.#close(place);
  }

  #giveBack(leases: readonly Lease[]): void {
    if (leases.length === 0) return;
    const healed = leases[0]?.place.isHealed === true;
    for (const lease of leases) this.#remove(lease);
    this.#send({ kind: 'return', leases: leases.map(({ id }) => id), healed });
  }

  #remove(lease: Lease): void {
    const { place } = lease;
    place.leases.delete(lease);
    if (place.leases.size > 0) return;
    place.unusedMs = performance.now();
    if (place.isDropped) this.#close(place);
    else this.#sweepLater();
  }

  #close(place: Place): void {
    place.connections.closeAll();
    const { desk } = place;
    desk.places.delete(place.instanceId);
  }

  #sweepLater(): void {
    this.#sweep ??= setTimeout(() => this.#sweepNow(), SWEEP_EVERY_MS).unref();
  }

  /** Gives idle leases back and closes what was not used for long. */
  #sweepNow(): void {
    this.#sweep = undefined;
    const now = performance.now();
    let isNeeded = false;
    for (const desk of this.#desks.values()) {
      for (const place of desk.places.values()) {
        // The one idle longest stands first.
        const fresh = place.idle.findIndex(({ idleMs }) => now - idleMs < IDLE_MS);
        this.#giveBack(place.idle.splice(0, fresh === -1 ? place.idle.length : fresh));
        if (place.leases.size === 0 && now - place.unusedMs >= UNUSED_MS) this.#close(place);
        else if (place.idle.length > 0 || place.leases.size === 0) isNeeded = true;
      }
      const isEmpty = desk.places.size === 0 && desk.waiters.length === 0 && desk.reused === 0;
      if (isEmpty && this.#demand.isSettled(desk)) this.#desks.delete(desk.key);
    }
    if (isNeeded) this.#sweepLater();
  }
}

function busy(place: Place): number {
  return place.leases.size - place.idle.length;
}
