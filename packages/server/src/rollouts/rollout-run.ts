import { LIVE_ALIAS, resolveRollout, type RolloutPlan, WEIGHT_TOTAL } from '@ebb/contract';
import type { RolloutEntry, RolloutReason } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { FunctionRecord, FunctionRegistry, Version } from '../core/ports.ts';
import { createTurns } from '../registry/turns.ts';
import type { CountedVersion } from '../telemetry/version-tally.ts';
import { decideStep } from './decide-worse.ts';
import { decideRollout, type RolloutDecision, weightAt } from './decide-rollout.ts';
import {
  baselineAfter,
  beginObservations,
  describeSide,
  foldObservations,
  NOTHING_SEEN,
  type Observations,
  stepOf,
} from './fold-observations.ts';
import { addCounted } from './fold-counted.ts';
import { hasWeight, namesPair, withOnly, withWeight } from './live-weights.ts';
import { isRunning, type RolloutEnding, type RolloutRecord, weightOf, withEntry } from './rollout-record.ts';
import { type RolloutPool, RolloutWarmth } from './rollout-warmth.ts';

/** What a {@link RolloutRun} is made with. */
export interface RolloutRunOptions {
  readonly registry: Pick<FunctionRegistry, 'resolve' | 'setAlias'>;
  /** The pool of a version, made if there is none. */
  readonly poolOf: (version: Version) => RolloutPool;
  /** Puts a record on disk. */
  readonly save: (record: RolloutRecord) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once it is over and on disk. */
  readonly onEnded: () => void;
}

/** What was decided about a rollout, by a person or from numbers. */
interface Change {
  readonly action: RolloutEntry['action'];
  readonly reason: RolloutReason;
  readonly message: string;
}

const PAST: Readonly<Record<RolloutEnding, RolloutEntry['action']>> = {
  finished: 'finish',
  promoted: 'promote',
  'rolled-back': 'roll-back',
  aborted: 'abort',
};

/** A person who promotes waits no longer than this for instances. */
const PROMOTE_WAIT_MS = 2000;

/**
 * One rollout that runs: observes, decides and carries out. What it is about to do is on disk before it is done, so that
 * a crash at any point is made good by the next start.
 */
export class RolloutRun {
  readonly #options: RolloutRunOptions;
  readonly #plan: RolloutPlan;
  readonly #turns = createTurns();
  #record: RolloutRecord;
  #seen: Observations;
  #sinceMs: number;
  #inbox = { old: NOTHING_SEEN, new: NOTHING_SEEN };
  #observedMs: number;
  #decision: RolloutDecision | undefined;
  readonly #warmth: RolloutWarmth;
  #isSetting = false;
  /** Whether the weight of the step is known to be in force. */
  #isSet = false;
  #isLooking = false;
  /** Whether instances for all calls are to be started, whatever the step. */
  #isPromoting = false;
  #isClosed = false;

  constructor(record: RolloutRecord, options: RolloutRunOptions) {
    this.#record = record;
    this.#options = options;
    this.#plan = resolveRollout(record.spec);
    this.#seen = beginObservations(record.baseline, record.ordinal);
    this.#sinceMs = options.clock.monotonic();
    this.#observedMs = this.#sinceMs;
    const { from, to } = record;
    this.#warmth = new RolloutWarmth({ from, to, find: () => this.#function(), poolOf: options.poolOf });
  }

  /** The rollout as it stands, with what was seen until now. */
  get record(): RolloutRecord {
    if (!isRunning(this.#record)) return this.#record;
    const { reason, message } = this.#decision ?? this.#record;
    return { ...this.#record, reason, message, ...this.#sides() };
  }

  /** Puts a new rollout in place, or one that an earlier server left: the weights are those of its step. */
  begin(change: Change): Promise<void> {
    return this.#turn(async () => {
      if (this.#record.ending) return this.#complete(this.#record.ending);
      if (!this.#isMine()) return this.#end('aborted', CHANGED, { leaveAlias: true });
      await this.#enter(this.#record, change);
      // What it took to prove the version was before the rollout.
      this.#observe();
    });
  }

  /** Takes note of calls. */
  add(counted: CountedVersion): void {
    const { from, to } = this.#record;
    if (counted.version === from) this.#inbox.old = addCounted(this.#inbox.old, counted);
    else if (counted.version === to) this.#inbox.new = addCounted(this.#inbox.new, counted);
  }

  /** Looks at what was seen and does what is decided from it. Never throws. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#turn(() => this.#decide());
    } catch (error) {
      const { namespace, name, id } = this.#record;
      this.#options.logger.error(
        { err: asEbbError(error), namespace, name, id },
        'a rollout could not go on, and tries again',
      );
    } finally {
      this.#isLooking = false;
    }
  }

  /** Pauses or goes on. Throws ROLLOUT_NOT_RUNNING, STORE_FAILED. */
  setPaused(isPaused: boolean): Promise<RolloutRecord> {
    return this.#byHand(async () => {
      const state = isPaused ? 'paused' : 'running';
      if (this.#record.state === state) return;
      const message = isPaused ? 'paused by hand' : 'resumed by hand';
      await this.#note(
        { ...this.#record, state },
        { action: isPaused ? 'pause' : 'resume', reason: 'BY_HAND', message },
      );
      this.#decision = undefined;
    });
  }

  /**
   * Gives the new version all calls, once the instances it needs for them are ready; after 2 seconds with those there
   * are. Throws ROLLOUT_NOT_RUNNING, STORE_FAILED.
   */
  async promote(): Promise<RolloutRecord> {
    const message = 'given all calls by hand';
    this.#isPromoting = true;
    try {
      this.#keepWarm();
      // Not in turn: a rollback by hand need not wait for that.
      await this.#warmth.wait(WEIGHT_TOTAL, PROMOTE_WAIT_MS, () => !this.#isGoingOn);
      return await this.#byHand(() => this.#end('promoted', { reason: 'BY_HAND', message }));
    } finally {
      this.#isPromoting = false;
    }
  }

  /** Gives the old version all calls now. Throws ROLLOUT_NOT_RUNNING, STORE_FAILED. */
  abort(): Promise<RolloutRecord> {
    return this.#byHand(() => this.#end('aborted', { reason: 'BY_HAND', message: 'taken back by hand' }));
  }

  /**
   * Takes back what could not begin. Until that is on disk each look tries it again. Throws STORE_FAILED, which changes
   * nothing about that.
   */
  withdraw(why: string): Promise<void> {
    return this.#turn(async () => {
      if (!isRunning(this.#record)) return;
      // Its records go with the function.
      if (!this.#function()) return this.#options.onEnded();
      const reason = { reason: 'NOT_BEGUN', message: `it could not begin: ${why}` } as const;
      this.#record = { ...this.#record, ...reason, ending: 'aborted' };
      await this.#end('aborted', reason);
    });
  }

  /** Looks whether somebody else changed where calls go; then it is over. */
  follow(record: FunctionRecord): void {
    const isOurs = this.#isSetting || !this.#isSet || this.#isAsSet(record);
    if (isOurs || this.#isClosed || !isRunning(this.#record)) return;
    void this.#turn(async () => {
      const now = this.#function();
      if (!isRunning(this.#record) || !this.#isSet || (now && this.#isAsSet(now))) return;
      await this.#end('aborted', CHANGED, { leaveAlias: true });
    }).catch((error: unknown) =>
      this.#options.logger.error({ err: error }, 'the end of a rollout could not be stored'),
    );
  }

  /** Resolves when nothing is under way. */
  settled(): Promise<void> {
    return this.#turn(() => Promise.resolve());
  }

  /** Lets go of everything; what is under way is finished first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.settled();
    this.#warmth.makeRelease()();
  }

  #turn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.run('', work);
  }

  #byHand(work: () => Promise<void>): Promise<RolloutRecord> {
    return this.#turn(async () => {
      const { name } = this.#record;
      if (!isRunning(this.#record)) throw new EbbError('ROLLOUT_NOT_RUNNING', `no rollout of "${name}" is running`);
      await work();
      return this.record;
    });
  }

  async #decide(): Promise<void> {
    if (this.#isClosed || !isRunning(this.#record)) return;
    if (this.#record.ending) return this.#complete(this.#record.ending);
    if (!this.#isSet) await this.#putInForce();
    this.#observe();
    const { from, to, step, phase, state } = this.#record;
    const decision = decideRollout(
      this.#plan,
      { step, phase, sinceMs: this.#sinceMs, isPaused: state === 'paused' },
      {
        from,
        to,
        seen: this.#seen,
        ready: this.#warmth.ready,
        wanted: this.#warmth.wanted(this.#stepWeight),
      },
      this.#options.clock.monotonic(),
    );
    this.#decision = decision;
    switch (decision.kind) {
      case 'hold':
        if (isWorthALine(decision) && this.#record.timeline.at(-1)?.reason !== decision.reason) {
          await this.#note(this.#record, { action: 'hold', ...decision });
        }
        return;
      case 'advance':
        return phase === 'warming'
          ? this.#enter({ ...this.#record, phase: 'watching' }, { action: 'advance', ...decision })
          : this.#enter({ ...this.#record, step: step + 1, phase: 'warming' }, { action: 'warm', ...decision });
      case 'finish':
        return this.#end('finished', decision);
      case 'roll-back':
        return this.#end('rolled-back', decision);
    }
  }

  /** Enters a phase: on disk first, then in force. */
  async #enter(record: RolloutRecord, change: Change): Promise<void> {
    const ordinal = this.#seen.windows.at(-1)?.ordinal ?? record.ordinal;
    const baseline = baselineAfter(this.#seen.baseline, stepOf(this.#seen).old);
    await this.#note({ ...record, ordinal, baseline }, change);
    this.#isSet = false;
    await this.#putInForce();
  }

  /** Gives the phase its weight, and begins it; until that worked it is tried again with each look. */
  async #putInForce(): Promise<void> {
    await this.#setWeight(weightAt(this.#plan, this.#record));
    this.#isSet = true;
    this.#sinceMs = this.#options.clock.monotonic();
    if (this.#record.phase === 'watching') this.#seen = decideStep(this.#plan, this.#seen);
    this.#decision = undefined;
    this.#keepWarm();
  }

  async #end(
    ending: RolloutEnding,
    decided: Pick<Change, 'reason' | 'message'> & Partial<Pick<RolloutEntry, 'old' | 'new'>>,
    { leaveAlias = false } = {},
  ): Promise<void> {
    const sides = {
      ...this.#sides(),
      ...(decided.old && { old: decided.old }),
      ...(decided.new && { new: decided.new }),
    };
    const { reason, message } = decided;
    const next = { ...this.#record, ...sides, ending, reason, message };
    this.#decision = undefined;
    await this.#note(next, { action: PAST[ending], reason, message }, sides);
    await this.#complete(ending, leaveAlias);
  }

  /** Carries out an ending that is on disk. */
  async #complete(ending: RolloutEnding, leaveAlias = false): Promise<void> {
    const { clock, save, onEnded, logger } = this.#options;
    // While both versions are still known; but their instances may go only once the calls have.
    const release = this.#warmth.makeRelease();
    if (!leaveAlias) await this.#setWeight(weightOf({ ...this.#record, ending })).catch(ignoreGone);
    release();
    const { ending: _done, ...rest } = this.#record;
    this.#record = { ...rest, state: ending, endedAt: clock.now() };
    await save(this.#record);
    const { namespace, name, id, from, to, message } = this.#record;
    logger.info({ namespace, name, id, from, to, ending, message }, 'a rollout has ended');
    onEnded();
  }

  /** Adds a line to the timeline; on disk when the promise resolves. */
  async #note(record: RolloutRecord, change: Change, sides = this.#sides()): Promise<void> {
    const { action, reason, message } = change;
    const at = new Date(this.#options.clock.now()).toISOString();
    const entry: RolloutEntry = { at, action, weight: weightOf(record), reason, message, ...sides };
    const next = withEntry({ ...record, reason, message, ...sides }, entry);
    await this.#options.save(next);
    this.#record = next;
  }

  /** Makes `live` say where calls go: both versions by weight, or at the end one alone. */
  async #setWeight(weight: number): Promise<void> {
    const { namespace, name, from, to, before, ending } = this.#record;
    const now = this.#function();
    const spec = now && (ending ? withOnly(now, weight > 0 ? to : from) : withWeight(now, this.#record, weight));
    if (!spec) throw new EbbError('FUNCTION_NOT_FOUND', `there is no function "${name}" in namespace "${namespace}"`);
    if (!ending && now && hasWeight(now, this.#record, weight)) return;
    // A version that was taken back is nothing to go back to.
    const isOver = ending !== undefined && weight > 0;
    this.#isSetting = true;
    try {
      await this.#options.registry.setAlias(namespace, name, LIVE_ALIAS, spec, { before: isOver ? from : before });
    } finally {
      this.#isSetting = false;
    }
  }

  #observe(): void {
    const seen = this.#inbox;
    const now = this.#options.clock.monotonic();
    this.#inbox = { old: NOTHING_SEEN, new: NOTHING_SEEN };
    const { from, to } = this.#record;
    this.#seen = foldObservations(
      this.#seen,
      {
        old: this.#warmth.withStarts(from, seen.old),
        new: this.#warmth.withStarts(to, seen.new),
      },
      now - this.#observedMs,
    );
    this.#observedMs = now;
    this.#keepWarm();
  }

  #keepWarm(): void {
    if (!this.#isClosed && isRunning(this.#record)) this.#warmth.keep(this.#stepWeight);
  }

  get #isGoingOn(): boolean {
    return !this.#isClosed && isRunning(this.#record) && this.#record.ending === undefined;
  }

  /** The weight the new version has or is made ready for. */
  get #stepWeight(): number {
    if (this.#isPromoting) return WEIGHT_TOTAL;
    return this.#plan.steps[this.#record.step]?.weight ?? WEIGHT_TOTAL;
  }

  #sides() {
    const { from, to } = this.#record;
    const { total } = this.#seen;
    return { old: describeSide(from, total.old), new: describeSide(to, total.new) };
  }

  #function(): FunctionRecord | undefined {
    return this.#options.registry.resolve(this.#record.namespace, this.#record.name);
  }

  /** Whether `live` still says what an earlier server made it say. */
  #isMine(): boolean {
    const now = this.#function();
    const { step, phase } = this.#record;
    return now !== undefined && namesPair(now, this.#record, step === 0 && phase === 'warming');
  }

  #isAsSet(now: FunctionRecord): boolean {
    return hasWeight(now, this.#record, weightAt(this.#plan, this.#record));
  }
}

const CHANGED = {
  action: 'abort',
  reason: 'CHANGED_BY_HAND',
  message: 'somebody changed where "live" sends calls, and it stays as they said',
} as const;

/** Holds that a person should find in the timeline later. */
function isWorthALine({ reason }: RolloutDecision): boolean {
  return reason === 'WAITED_TOO_LONG' || reason === 'LOOKS_WORSE';
}

/** A function or version that was removed meanwhile has no calls to move. */
function ignoreGone(error: unknown): void {
  const { code } = asEbbError(error);
  if (code !== 'FUNCTION_NOT_FOUND' && code !== 'VERSION_NOT_FOUND') throw error;
}
