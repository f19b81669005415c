import type { Clock } from '../core/clock.ts';
import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import type { Engine } from '../engines/engine.ts';
import type { Admission } from './admission.ts';
import type { Endpoint } from './endpoint.ts';
import type { Member } from './stop-member.ts';

/** After the engine failed to freeze an instance of a version, it is left alone for this long. */
const RETRY_AFTER_MS = 60_000;

/** What a {@link Freezer} is made with. */
export interface FreezerOptions {
  readonly version: Version;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly admission: Admission;
  /** Opens new connections to an instance, of which none is used before the first request. */
  readonly reconnect: (member: Member) => Endpoint;
  /** Called with an instance that does not come back. */
  readonly onBroken: (member: Member) => void;
}

/** How an instance that gets no request for want of CPU stands. */
interface Cold {
  state: 'freezing' | 'frozen' | 'thawing';
  /** Whether it is to be thawed as soon as it is frozen. */
  isWanted: boolean;
  memoryBytes: number;
}

/** An instance that stands still, as the budget sees it. */
export interface FrozenInstance {
  readonly id: string;
  readonly memoryBytes: number;
  readonly idleMs: number;
}

/**
 * Freezes the idle instances of one version and thaws them when requests wait. From the moment an instance is about to
 * freeze until it is thawed it takes no request (G2): its endpoint does not accept.
 */
export class Freezer {
  readonly #options: FreezerOptions;
  readonly #cold = new Map<Member, Cold>();
  #notBeforeMs = 0;

  constructor(options: FreezerOptions) {
    this.#options = options;
  }

  /** Whether an instance stands still, or is about to. */
  isFrozen(member: Member): boolean {
    return this.#cold.has(member);
  }

  /** The instances that stand still. */
  frozen(): FrozenInstance[] {
    const now = this.#options.clock.monotonic();
    const found: FrozenInstance[] = [];
    for (const [{ launched, endpoint }, { state, memoryBytes }] of this.#cold) {
      if (state !== 'frozen') continue;
      found.push({ id: launched.instance.id, memoryBytes, idleMs: now - endpoint.idleSinceMs });
    }
    return found;
  }

  /** Freezes whatever had no request for long enough. Never throws. */
  freezeIdle(members: Iterable<Member>): void {
    const { engine, clock, version } = this.#options;
    const now = clock.monotonic();
    if (!engine.capabilities.freeze || now < this.#notBeforeMs) return;
    for (const member of members) {
      const { endpoint, state } = member;
      if (state !== 'ready' || !endpoint.accepting || endpoint.inFlight > 0) continue;
      if (now - endpoint.idleSinceMs >= version.limits.freezeAfterMs) void this.#freeze(member);
    }
  }

  /**
   * Thaws as many instances as it takes to serve those who wait, the latest used first. Those being thawed count, so
   * any number of requests at once that one instance can serve thaws one.
   */
  demand(waiting: number): void {
    if (this.#cold.size === 0) return;
    const entries = [...this.#cold];
    const coming = entries.filter(([, { state, isWanted }]) => state === 'thawing' || isWanted).length;
    const lacking = Math.ceil(waiting / this.#options.version.limits.concurrency) - coming;
    if (lacking <= 0) return;
    const candidates = entries
      .filter(([, { state, isWanted }]) => state !== 'thawing' && !isWanted)
      .sort(([a], [b]) => b.endpoint.idleSinceMs - a.endpoint.idleSinceMs);
    for (const [member, cold] of candidates.slice(0, lacking)) {
      if (cold.state === 'frozen') void this.#thaw(member, cold);
      else cold.isWanted = true;
    }
  }

  /** Forgets an instance that is being stopped; whoever stops it thaws it. */
  forget(member: Member): void {
    this.#cold.delete(member);
  }

  async #freeze(member: Member): Promise<void> {
    const { engine, version } = this.#options;
    const { id } = member.launched.instance;
    const cold: Cold = { state: 'freezing', isWanted: false, memoryBytes: version.limits.memoryBytes };
    this.#cold.set(member, cold);
    member.endpoint.accepting = false;
    // A program of unknown habits may close what it kept open the moment it wakes, with the next request under way.
    if (version.spec.runtime === undefined) this.#replaceConnections(member);
    try {
      await engine.freeze(id);
    } catch (error) {
      this.#options.logger.warn({ instance: id, err: asEbbError(error) }, 'an idle instance could not be frozen');
      this.#notBeforeMs = this.#options.clock.monotonic() + RETRY_AFTER_MS;
      // What became of it is not known, so it is thawed before it takes requests again.
      if (this.#cold.get(member) === cold) await this.#thaw(member, cold);
      return;
    }
    if (this.#cold.get(member) !== cold) return;
    cold.state = 'frozen';
    if (cold.isWanted) {
      await this.#thaw(member, cold);
      return;
    }
    // Until it is known, and if it never is, an instance counts with all it may take.
    const stats = await engine.stats(id).catch(() => undefined);
    if (stats) cold.memoryBytes = stats.memoryBytes;
  }

  async #thaw(member: Member, cold: Cold): Promise<void> {
    cold.state = 'thawing';
    const beganMs = this.#options.clock.monotonic();
    const { id } = member.launched.instance;
    try {
      await this.#options.engine.thaw(id);
    } catch (error) {
      if (this.#cold.get(member) !== cold) return;
      this.#options.logger.warn({ instance: id, err: asEbbError(error) }, 'a frozen instance could not be thawed');
      this.#options.onBroken(member);
      return;
    }
    if (this.#cold.get(member) !== cold) return;
    this.#cold.delete(member);
    const thawMs = this.#options.clock.monotonic() - beganMs;
    this.#options.admission.readmit(member.endpoint, { cause: 'thaw', thawMs });
  }

  #replaceConnections(member: Member): void {
    const { admission, reconnect } = this.#options;
    const old = member.endpoint;
    admission.remove(old);
    member.endpoint = reconnect(member);
    member.endpoint.accepting = false;
    admission.add(member.endpoint);
    old.connections.closeAll();
  }
}
