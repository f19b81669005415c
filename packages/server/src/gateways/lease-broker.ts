import type { VersionKey, WaitReport } from '@ebb/contract';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Version } from '../core/ports.ts';
import { BUSY_WAIT, type Slot } from '../pool/admission.ts';
import type { Endpoint } from '../pool/endpoint.ts';
import type { InstancePools } from '../pool/instance-pools.ts';
import { type SlotMessage, type SlotRequest, sendable } from './messages.ts';

/** How long gateways may take to say which of their leases are idle before it is taken for none. */
const ROUND_MS = 20;
/** How often leases are compared with what became of their instances. */
const LOOK_EVERY_MS = 20;
/** Gateways close connections to an instance this long after its last lease; a little is added here. */
const FORGET_MS = 1_500;

/** What a {@link LeaseBroker} is made with. */
export interface LeaseBrokerOptions {
  readonly pools: Pick<InstancePools, 'acquire' | 'tryAcquire' | 'find' | 'limits'>;
  /** The version of a key, serving or replaced a moment ago. */
  readonly versionOf: (key: VersionKey) => Version | undefined;
}

/** The leases of one gateway. */
export interface LeaseHolder {
  receive(message: SlotRequest): void;
  /** The gateway is gone: all its slots return. */
  leave(): void;
}

interface Holder {
  readonly send: (message: SlotMessage) => void;
  readonly leases: Map<number, Lease>;
  readonly tickets: Map<VersionKey, Ticket[]>;
  /** Instances it may have connections to; `since` when the last lease came back. */
  readonly known: Map<string, { readonly endpoint: Endpoint; leases: number; sinceMs: number; isDropped: boolean }>;
}

interface Lease {
  readonly key: VersionKey;
  readonly slot: Slot;
  isRecalled: boolean;
}

/** A slot that a gateway waits for. */
interface Ticket {
  readonly holder: Holder;
  readonly version: Version;
  readonly withdrawn: AbortController;
}

interface Round {
  readonly id: number;
  readonly key: VersionKey;
  readonly tickets: Ticket[];
  readonly awaiting: Set<Holder>;
  readonly timer: NodeJS.Timeout;
}

/**
 * Lends slots to gateways. A lease is a slot taken from the pools like any other, so limits, the line, starts and
 * drains stay in one place, and no slot is with two gateways at once (G1). Where none is free, the gateways are asked
 * for idle ones before the line is joined: joining it may start an instance.
 */
export class LeaseBroker implements Disposable {
  readonly #options: LeaseBrokerOptions;
  readonly #holders = new Set<Holder>();
  readonly #rounds = new Map<VersionKey, Round>();
  #timer: NodeJS.Timeout | undefined;
  #lastId = 0;

  constructor(options: LeaseBrokerOptions) {
    this.#options = options;
  }

  /** Slots that are lent now. */
  get lent(): number {
    let lent = 0;
    for (const { leases } of this.#holders) lent += leases.size;
    return lent;
  }

  /** Slots of each version that gateways have on lease, and those they wait for. */
  lentOf(): Map<VersionKey, { leased: number; asked: number }> {
    const lent = new Map<VersionKey, { leased: number; asked: number }>();
    const of = (key: VersionKey) => {
      const known = lent.get(key) ?? { leased: 0, asked: 0 };
      lent.set(key, known);
      return known;
    };
    for (const { leases, tickets } of this.#holders) {
      for (const { key } of leases.values()) of(key).leased += 1;
      for (const [key, waiting] of tickets) of(key).asked += waiting.length;
    }
    return lent;
  }

  /** Lets a gateway in, which is told with `send`. */
  join(send: (message: SlotMessage) => void): LeaseHolder {
    const holder: Holder = { send, leases: new Map(), tickets: new Map(), known: new Map() };
    this.#holders.add(holder);
    return { receive: (message) => this.#receive(holder, message), leave: () => this.#leave(holder) };
  }

  /** Counts calls of a version that a gateway served under a lease it had, for the autoscaler. */
  arrived(key: VersionKey, count: number): void {
    this.#options.pools.find(key)?.arrived(count);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const holder of this.#holders) this.#leave(holder);
  }

  #receive(holder: Holder, message: SlotRequest): void {
    switch (message.kind) {
      case 'want':
        this.#want(holder, message.key, message.count);
        return;
      case 'withdraw':
        this.#withdraw(holder, message.key, message.count);
        return;
      case 'return':
        for (const id of message.leases) this.#end(holder, id)?.slot.release(message.healed ? 'well' : 'unknown');
        return;
      case 'failed': {
        const lease = this.#end(holder, message.lease);
        if (!lease) return;
        if (message.healed) lease.slot.endpoint.failuresInRow = 0;
        lease.slot.fail(message.failure);
        return;
      }
      case 'ending':
        void this.#explain(holder, message);
        return;
      case 'recalled': {
        const round = [...this.#rounds.values()].find(({ id }) => id === message.round);
        if (round) this.#answered(round, holder);
      }
    }
  }

  async #explain(
    holder: Holder,
    { ask, lease, callId }: Extract<SlotRequest, { readonly kind: 'ending' }>,
  ): Promise<void> {
    const ending = await holder.leases.get(lease)?.slot.ending(callId);
    if (this.#holders.has(holder)) holder.send({ kind: 'ended', ask, ending });
  }

  #leave(holder: Holder): void {
    if (!this.#holders.delete(holder)) return;
    for (const tickets of holder.tickets.values()) for (const ticket of tickets) ticket.withdrawn.abort();
    holder.tickets.clear();
    for (const id of holder.leases.keys()) this.#end(holder, id)?.slot.release('unknown');
    for (const round of this.#rounds.values()) this.#answered(round, holder);
  }

  #want(holder: Holder, key: VersionKey, count: number): void {
    const version = this.#options.versionOf(key);
    const asking: Ticket[] = [];
    for (let i = 0; i < count; i += 1) {
      if (!version) {
        const error = new EbbError('FUNCTION_NOT_FOUND', `there is no version ${key} any more`);
        holder.send({ kind: 'refuse', key, error: sendable(error) });
        continue;
      }
      const ticket: Ticket = { holder, version, withdrawn: new AbortController() };
      const others = holder.tickets.get(key);
      if (others) others.push(ticket);
      else holder.tickets.set(key, [ticket]);
      const isAsking = this.#rounds.has(key) || asking.length > 0;
      const slot = isAsking || this.#scopeInTheWay(version) ? undefined : this.#options.pools.tryAcquire(version);
      if (slot) this.#grant(ticket, slot);
      else asking.push(ticket);
    }
    if (version && asking.length > 0) this.#ask(version, asking);
  }

  /** The beginning of the keys whose calls are too many for one more of the version, if they are. */
  #scopeInTheWay({ namespace, name }: Version): string | undefined {
    return this.#options.pools.limits.scopeInTheWay(namespace, name);
  }

  /**
   * Asks for idle leases of a version, or of all whose calls keep it out; the tickets wait for the answers, later ones
   * behind them.
   */
  #ask(version: Version, tickets: readonly Ticket[]): void {
    const { key } = version;
    const running = this.#rounds.get(key);
    if (running) {
      running.tickets.push(...tickets);
      return;
    }
    const scope = this.#scopeInTheWay(version);
    const asked = new Map<Holder, Set<VersionKey>>();
    for (const holder of this.#holders) {
      const keys = new Set<VersionKey>();
      for (const lease of holder.leases.values()) {
        const isInTheWay = scope === undefined ? lease.key === key : lease.key.startsWith(scope);
        // What is recalled already comes back as soon as it is idle.
        if (isInTheWay && !lease.isRecalled) keys.add(lease.key);
      }
      if (keys.size > 0) asked.set(holder, keys);
    }
    if (asked.size === 0) {
      for (const ticket of tickets) this.#queue(ticket);
      return;
    }
    this.#lastId += 1;
    const round: Round = {
      id: this.#lastId,
      key,
      tickets: [...tickets],
      awaiting: new Set(asked.keys()),
      timer: setTimeout(() => this.#endRound(round), ROUND_MS),
    };
    this.#rounds.set(key, round);
    for (const [holder, keys] of asked) {
      const [last, ...others] = [...keys].toReversed();
      for (const other of others) this.#recall(holder, other);
      // What is said in a row is answered in a row: the last answer says that all are there.
      if (last !== undefined) this.#recall(holder, last, round.id);
    }
  }

  #recall(holder: Holder, key: VersionKey, round?: number): void {
    for (const lease of holder.leases.values()) if (lease.key === key) lease.isRecalled = true;
    holder.send({ kind: 'recall', key, round });
  }

  #answered(round: Round, holder: Holder): void {
    if (round.awaiting.delete(holder) && round.awaiting.size === 0) this.#endRound(round);
  }

  #endRound(round: Round): void {
    clearTimeout(round.timer);
    this.#rounds.delete(round.key);
    for (const ticket of round.tickets) if (!ticket.withdrawn.signal.aborted) this.#queue(ticket);
  }

  /** Joins the pool's line. How long a call may wait its gateway sees to: a ticket stands for one call after another. */
  #queue(ticket: Ticket): void {
    const { pools } = this.#options;
    const { signal } = ticket.withdrawn;
    Promise.try(() => pools.acquire(ticket.version, signal)).then(
      (slot) => {
        if (signal.aborted) slot.release('unknown');
        else this.#grant(ticket, slot, slot.wait ?? BUSY_WAIT);
      },
      (error: unknown) => {
        if (signal.aborted) return;
        const failure = asEbbError(error);
        if (failure.code === 'NO_INSTANCE_IN_TIME') {
          this.#queue(ticket);
          return;
        }
        this.#forget(ticket);
        ticket.holder.send({ kind: 'refuse', key: ticket.version.key, error: sendable(failure) });
      },
    );
  }

  #grant(ticket: Ticket, slot: Slot, wait?: WaitReport): void {
    this.#forget(ticket);
    const { holder, version } = ticket;
    const { key } = version;
    const { endpoint } = slot;
    this.#lastId += 1;
    const hurried = this.#isContended(holder, key);
    holder.leases.set(this.#lastId, { key, slot, isRecalled: hurried });
    const known = holder.known.get(endpoint.instanceId);
    if (known) known.leases += 1;
    else holder.known.set(endpoint.instanceId, { endpoint, leases: 1, sinceMs: 0, isDropped: false });
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    holder.send({
      kind: 'grant',
      key,
      lease: this.#lastId,
      instance: endpoint.instanceId,
      target: endpoint.target,
      managed: version.spec.runtime !== undefined,
      wait,
      hurried,
    });
  }

  #end(holder: Holder, id: number): Lease | undefined {
    const lease = holder.leases.get(id);
    if (!lease) return undefined;
    holder.leases.delete(id);
    const known = holder.known.get(lease.slot.endpoint.instanceId);
    if (known) {
      known.leases -= 1;
      known.sinceMs = performance.now();
    }
    return lease;
  }

  #withdraw(holder: Holder, key: VersionKey, count: number): void {
    let removed = 0;
    // Those that came last, so that the place of the first is kept.
    for (let ticket = holder.tickets.get(key)?.at(-1); ticket && removed < count; removed += 1) {
      this.#forget(ticket);
      ticket.withdrawn.abort(new EbbError('BAD_REQUEST', 'the caller went away'));
      ticket = holder.tickets.get(key)?.at(-1);
    }
    holder.send({ kind: 'withdrawn', key, asked: count, removed });
  }

  #forget(ticket: Ticket): void {
    const { holder, version } = ticket;
    const tickets = holder.tickets.get(version.key);
    const index = tickets?.indexOf(ticket) ?? -1;
    if (!tickets || index === -1) return;
    tickets.splice(index, 1);
    if (tickets.length === 0) holder.tickets.delete(version.key);
  }

  /** Whether calls of the version's function are more than may be, since a limit was lowered. */
  #isExceeded({ namespace, name }: Version): boolean {
    return this.#options.pools.limits.isExceeded(namespace, name);
  }

  /** Whether anybody else waits for a slot of the version. */
  #isContended(holder: Holder, key: VersionKey): boolean {
    return (this.#options.pools.find(key)?.waiting ?? 0) > (holder.tickets.get(key)?.length ?? 0);
  }

  /** Recalls what is wanted elsewhere or whose instance takes no more requests (G2): levels, so that nothing is missed. */
  #look(): void {
    const now = performance.now();
    let isNeeded = false;
    for (const holder of this.#holders) {
      for (const [instance, place] of holder.known) {
        const { accepting } = place.endpoint;
        if (!accepting && !place.isDropped) holder.send({ kind: 'drop', instance });
        place.isDropped = !accepting;
        if (place.leases === 0 && (!accepting || now - place.sinceMs > FORGET_MS)) holder.known.delete(instance);
      }
      const keys = new Set<VersionKey>();
      for (const lease of holder.leases.values()) if (!lease.isRecalled) keys.add(lease.key);
      for (const key of keys) {
        const pool = this.#options.pools.find(key);
        const isTooMany = () => pool !== undefined && this.#isExceeded(pool.version);
        if (pool?.retiring === true || this.#isContended(holder, key) || isTooMany()) this.#recall(holder, key);
      }
      if (holder.known.size > 0 || holder.leases.size > 0) isNeeded = true;
    }
    if (isNeeded) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
