import { formatDuration, waitForStart } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import { describeExit } from '../engines/await-ready.ts';
import type { Engine, InstanceExit } from '../engines/engine.ts';
import type { Admission, SlotFailure } from './admission.ts';
import { createEndpoint, type Endpoint } from './endpoint.ts';
import { awaitEnding, type Ending, lastWords, withLastWords } from './ending.ts';
import type { ExitWatch } from './exit-watch.ts';
import type { Launched, Launcher } from './launcher.ts';
import { probesOf, watchHealth } from './health-watch.ts';
import { questionPath } from './question-path.ts';
import type { Started } from './start-history.ts';
import { type Member, stopMember } from './stop-member.ts';
import { stopGraceMs } from './watchdog-habits.ts';

/** An instance that failed this many requests in a row is replaced (it may be wedged). */
const FAILURES_IN_ROW = 3;

/** What {@link PoolMembers} are made with. */
export interface PoolMembersOptions {
  readonly version: Version;
  readonly engine: Engine;
  readonly launcher: Pick<Launcher, 'isAlive'>;
  readonly exits: ExitWatch;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly admission: Admission;
  /** Aborts when everything is to stop at once, busy or not. */
  readonly closing: AbortSignal;
  /** Called when an instance has started and those who waited for it are served. */
  readonly onStarted: (started: Started) => void;
  /** Whether an instance stands still, or is about to. */
  readonly isResting: (member: Member) => boolean;
  /** Called when an instance leaves service, before it is stopped. */
  readonly onLeaving: (member: Member) => void;
  /** Called with an instance that ended by itself without having served, and how long after it was ready; before {@link onLost}. */
  readonly onCrashed: (error: EbbError, livedMs: number) => void;
  /** Called after an instance was lost or given up for a failure: another may be wanted. */
  readonly onLost: (how: 'ended' | 'failed') => void;
  /** Called when an instance that left service has ended. */
  readonly onGone: () => void;
}

/** The instances of one version: who is in service, who is suspected, and how each leaves. */
export class PoolMembers {
  readonly #options: PoolMembersOptions;
  readonly #members = new Map<string, Member>();
  /** Those that have ended, as to which it is not known yet why. */
  readonly #ending = new WeakSet<Member>();
  readonly #stops = new Set<Promise<void>>();
  #releasing = 0;

  constructor(options: PoolMembersOptions) {
    this.#options = options;
  }

  /** All of them, those on their way out included. */
  get size(): number {
    return this.#members.size;
  }

  get ready(): number {
    let count = 0;
    for (const member of this.#members.values()) if (member.state === 'ready') count += 1;
    return count;
  }

  all(): IterableIterator<Member> {
    return this.#members.values();
  }

  find(instanceId: string): Member | undefined {
    return this.#members.get(instanceId);
  }

  /** Ready instances without a request, the longest idle first. */
  idle(): Member[] {
    return [...this.#members.values()]
      .filter(({ endpoint, state }) => state === 'ready' && endpoint.inFlight === 0)
      .sort((a, b) => a.endpoint.idleSinceMs - b.endpoint.idleSinceMs);
  }

  /** Takes an instance into service, and out again when it ends. */
  add(launched: Launched): void {
    const { clock, closing } = this.#options;
    const endpoint = this.connect(launched, clock.monotonic());
    const member: Member = { launched, endpoint, state: 'ready', readyAtMs: clock.monotonic() };
    this.#watch(member);
    this.#members.set(launched.instance.id, member);
    void launched.exited.then((exit) => this.#ended(member, exit));
    if (closing.aborted) this.lost(launched.instance.id, 'is stopped');
    else this.#serve(launched, endpoint);
  }

  /** Asks an instance how it is while it is there, where its image has ways to say. */
  #watch(member: Member): void {
    const { version, admission, isResting } = this.#options;
    const probes = probesOf(version.spec);
    if (!probes) return;
    const { launched } = member;
    const { instance, exited, log } = launched;
    const watch = watchHealth({
      target: instance.target,
      probes,
      isResting: () => isResting(member),
      onFailed: (path) => this.lost(instance.id, `says on ${path} that it takes no calls, and is replaced`),
      onReady: (isReady) => {
        if (member.state !== 'ready') return;
        log.say(isReady ? 'the instance takes calls again' : 'the instance says that it takes no calls now');
        if (isReady) admission.readmit(member.endpoint);
        else member.endpoint.accepting = false;
      },
    });
    member.watch = watch;
    void exited.then(() => watch[Symbol.dispose]());
  }

  #serve({ instance, start }: Launched, endpoint: Endpoint): void {
    const { admission, version, onStarted } = this.#options;
    const { waiting } = admission;
    admission.add(endpoint, start && waitForStart(start));
    if (start) onStarted({ version, instanceId: instance.id, start, calls: waiting - admission.waiting });
  }

  /** An endpoint of an instance, with connections of its own. */
  connect({ instance }: Launched, idleSinceMs: number): Endpoint {
    const { version } = this.#options;
    return createEndpoint({
      instanceId: instance.id,
      target: instance.target,
      managed: version.spec.runtime !== undefined,
      capacity: version.limits.concurrency,
      nowMs: idleSinceMs,
    });
  }

  /** Gives up an instance that is as good as gone; `how` is the end of a sentence. */
  lost(instanceId: string, how: string): void {
    const member = this.#members.get(instanceId);
    if (!member || member.state === 'draining') return;
    member.launched.log.say(`the instance ${how}`);
    this.drain(member, 'broken');
    this.#options.onLost('ended');
  }

  /** What became of an instance that let a call down; undefined when it is not known here any more. */
  async ending(endpoint: Endpoint, callId: string): Promise<Ending | undefined> {
    const member = this.#members.get(endpoint.instanceId);
    return member && awaitEnding(member.launched, questionPath(this.#options.version.spec), callId);
  }

  /** Takes note of a slot that came back. */
  returned(endpoint: Endpoint): void {
    endpoint.idleSinceMs = this.#options.clock.monotonic();
    if (!endpoint.accepting) this.#members.get(endpoint.instanceId)?.onIdle?.();
  }

  /** Takes note of a request that an instance failed; it is replaced if it refuses connections or keeps failing. */
  failed(endpoint: Endpoint, kind: SlotFailure): void {
    const member = this.#members.get(endpoint.instanceId);
    if (!member || member.state === 'draining') return;
    // With other requests on it it is busy; alone it may be wedged.
    if (kind === 'full' && endpoint.inFlight > 1) return;
    if (kind !== 'hard' && endpoint.failuresInRow < FAILURES_IN_ROW) {
      if (kind !== 'soft') void this.#verify(member);
      return;
    }
    member.launched.log.say(
      kind === 'hard'
        ? 'the instance refuses connections and is replaced'
        : 'the instance failed several requests in a row and is replaced',
    );
    this.drain(member, 'broken');
    this.#options.onLost('failed');
  }

  /**
   * Takes an instance out of service and stops it when it holds no request any more (S2, G2). One that is `broken` is
   * replaced before it has ended.
   */
  drain(member: Member, why: 'released' | 'broken' = 'released'): void {
    if (member.state === 'draining') return;
    member.state = 'draining';
    member.endpoint.accepting = false;
    member.watch?.[Symbol.dispose]();
    const { engine, exits, logger, version, admission, closing } = this.#options;
    this.#options.onLeaving(member);
    admission.remove(member.endpoint);
    const { timeoutMs } = version.limits;
    const graceMs = stopGraceMs(version.spec);
    const released = why === 'released' ? 1 : 0;
    this.#releasing += released;
    const stop = stopMember(member, { engine, exits, logger, timeoutMs, graceMs, closing }).finally(() => {
      this.#stops.delete(stop);
      this.#members.delete(member.launched.instance.id);
      this.#releasing -= released;
      this.#options.onGone();
    });
    this.#stops.add(stop);
  }

  /** Gives up those without a request, running: another server takes them over. */
  releaseIdle(): void {
    const { engine, exits, admission } = this.#options;
    for (const member of this.idle()) {
      const { id } = member.launched.instance;
      member.state = 'draining';
      member.endpoint.accepting = false;
      member.watch?.[Symbol.dispose]();
      this.#options.onLeaving(member);
      admission.remove(member.endpoint);
      exits.forget(id);
      member.endpoint.connections.closeAll();
      member.launched.log.stop();
      engine.release(id);
      this.#members.delete(id);
      this.#options.onGone();
    }
  }

  /** Takes all of them out of service. */
  drainAll(): void {
    for (const member of this.#members.values()) if (member.state === 'ready') this.drain(member);
  }

  /** Instances that were given up and have not ended: they still count (E3), other than those that are broken. */
  get releasing(): number {
    return this.#releasing;
  }

  /** How many are being stopped. */
  get leaving(): number {
    return this.#stops.size;
  }

  /** Resolves when those that are being stopped now have ended. */
  async left(): Promise<void> {
    await Promise.all(this.#stops);
  }

  /** An instance ended by itself, or its end was announced. */
  async #ended(member: Member, exit: InstanceExit): Promise<void> {
    const { log, instance } = member.launched;
    if (exit.signal === 'SIGABRT' && !exit.outOfMemory) {
      member.endpoint.accepting = false;
      this.#ending.add(member);
      // Whether its memory ran out is in its last words alone.
      await lastWords(log);
    }
    if (member.state === 'draining') return;
    const { version, clock, onCrashed } = this.#options;
    const told = withLastWords(exit, log.tail());
    const how = describeExit(told);
    const livedMs = clock.monotonic() - member.readyAtMs;
    const message = `the instance of ${version.name} ${how} ${formatDuration(Math.round(livedMs))} after it was ready`;
    // One that has served dies of a call, not of what it is: others shall not wait because somebody kills instances.
    if (!member.endpoint.hasServed)
      onCrashed(new EbbError(told.outOfMemory ? 'OUT_OF_MEMORY' : 'INSTANCE_CRASHED', message), livedMs);
    this.lost(instance.id, how);
  }

  /**
   * An instance that cut a connection may be dying, with more of its connections about to break, and one that answers
   * nothing may be wedged: it gets no request until it has been reached anew.
   */
  async #verify(member: Member): Promise<void> {
    if (!member.endpoint.accepting) return;
    const { launcher, version, admission } = this.#options;
    member.endpoint.accepting = false;
    const isAlive = await launcher.isAlive(version, member.launched);
    if (member.state === 'draining' || this.#ending.has(member)) return;
    if (isAlive) admission.readmit(member.endpoint);
    else this.lost(member.launched.instance.id, 'does not answer any more and is replaced');
  }
}
