import type { RolloutResource } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type {
  DeployInput,
  FunctionRecord,
  FunctionRegistry,
  RolledDeployOutcome,
  Rollouts,
  Version,
} from '../core/ports.ts';
import type { KeyValue } from '../store/key-value.ts';
import type { CountedVersion } from '../telemetry/version-tally.ts';
import { describeSide, NOTHING_SEEN } from './fold-observations.ts';
import { isSplit, requireUnsplit } from './live-weights.ts';
import { type RolloutRecord, showRollout, weightOf } from './rollout-record.ts';
import { RolloutRun } from './rollout-run.ts';
import { createRolloutStore } from './rollout-store.ts';
import type { RolloutPool } from './rollout-warmth.ts';

/** What the rollouts are made with. */
export interface RolloutsOptions {
  /** Its changes are in force everywhere when their promise resolves. */
  readonly registry: FunctionRegistry;
  readonly store: KeyValue;
  /** The pool of a version, made if there is none. */
  readonly poolOf: (version: Version) => RolloutPool;
  /** Calls counted in this process since it was last asked. */
  readonly takeCounted: () => readonly CountedVersion[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Time between two looks, in milliseconds. Default: 500. */
  readonly everyMs?: number;
}

/** The rollouts, and what the side that counts calls tells them. */
export interface RolloutEngine extends Rollouts, AsyncDisposable {
  /** Goes on with what an earlier server began, and looks at every rollout regularly from now on. Throws STORE_FAILED. */
  start(): Promise<void>;
  /** Takes calls that another process counted. */
  observed(counted: readonly CountedVersion[]): void;
  /** Leaves every rollout as it is, for a while or for another server; resolves when nothing is under way. */
  hold(): Promise<void>;
  /** Ends {@link hold}. */
  goOn(): void;
  /** Whether a rollout of a function is not over. */
  isRunning(namespace: string, name: string): boolean;
  /** A call failed: after a few the next look comes at once. Costs next to nothing. */
  hurry(): void;
}

const LOOK_EVERY_MS = 500;
/** So many failed calls since the last look make the next one come early, ... */
const HURRY_AFTER = 5;
/** ... after this time. */
const HURRY_MS = 50;

/** Makes the rollouts of a server; one of a function runs at a time. */
export function createRollouts(options: RolloutsOptions): RolloutEngine {
  const { registry, poolOf, takeCounted, clock, logger, everyMs = LOOK_EVERY_MS } = options;
  const records = createRolloutStore(options.store);
  const runs = new Map<string, RolloutRun>();
  /** Functions whose rollout is about to begin. */
  const preparing = new Map<string, Promise<unknown>>();
  let timer: NodeJS.Timeout | undefined;
  let early: NodeJS.Timeout | undefined;
  let failures = 0;
  let isHeld = false;

  const runOf = (record: RolloutRecord): RolloutRun => {
    const key = keyOf(record);
    const run = new RolloutRun(record, {
      registry,
      poolOf,
      save: (next) => records.save(next),
      clock,
      logger,
      onEnded: () => {
        if (runs.get(key) === run) runs.delete(key);
      },
    });
    runs.set(key, run);
    return run;
  };

  const gather = (counted: readonly CountedVersion[]): void => {
    for (const one of counted) runs.get(keyOf(one))?.add(one);
  };

  const look = (): void => {
    failures = 0;
    clearTimeout(early);
    early = undefined;
    gather(takeCounted());
    if (isHeld) return;
    for (const run of runs.values()) void run.look();
  };

  const requireNone = (namespace: string, name: string): void => {
    const key = keyOf({ namespace, name });
    const record = runs.get(key)?.record;
    if (!record && !preparing.has(key)) return;
    const which = record ? ` from version ${record.from} to ${record.to}` : '';
    throw new EbbError(
      'ROLLOUT_RUNNING',
      `a rollout of "${name}"${which} is running; wait for it, or use "ebb rollout promote ${name}" or "abort"`,
    );
  };

  const requireRun = (namespace: string, name: string): RolloutRun => {
    const run = runs.get(keyOf({ namespace, name }));
    if (run) return run;
    throw new EbbError('ROLLOUT_NOT_RUNNING', `no rollout of "${name}" is running`);
  };

  const begin = async (
    { live, before }: FunctionRecord,
    to: Version,
    spec: RolloutRecord['spec'],
  ): Promise<RolloutResource> => {
    const { namespace, name } = to;
    const from = live.version;
    const id = await records.nextId(namespace, name);
    const run = runOf({
      namespace,
      name,
      id,
      from,
      to: to.version,
      before,
      spec,
      state: 'running',
      step: 0,
      phase: 'warming',
      ordinal: 1,
      baseline: NOTHING_SEEN,
      reason: 'STARTED',
      message: '',
      old: describeSide(from, NOTHING_SEEN),
      new: describeSide(to.version, NOTHING_SEEN),
      startedAt: clock.now(),
      timeline: [],
    });
    try {
      const message = `from version ${from} to ${to.version}, ${spec.strategy}`;
      await run.begin({ action: 'start', reason: 'STARTED', message });
    } catch (error) {
      // Nobody may find a rollout running, now or after a restart, that was reported as failed.
      await run.withdraw(asEbbError(error).message).catch((cause: unknown) => {
        logger.error({ err: cause, namespace, name, id }, 'a rollout that could not begin is taken back later');
      });
      throw error;
    }
    return showRollout(run.record);
  };

  /** What a deploy comes to that asks for what a running rollout brings already. */
  const findRunning = async (
    input: DeployInput,
    signal: AbortSignal | undefined,
  ): Promise<RolledDeployOutcome | undefined> => {
    const run = runs.get(keyOf(input));
    const version = run && (await registry.find(input, signal));
    const record = registry.resolve(input.namespace, input.name);
    // It may have ended meanwhile, or be about to.
    if (!run || !record || runs.get(keyOf(input)) !== run || run.record.ending) return undefined;
    if (version?.version !== run.record.to) return undefined;
    return { record, version, change: 'unchanged', rollout: showRollout(run.record) };
  };

  const rollOut = async (
    input: DeployInput,
    options: Parameters<Rollouts['deploy']>[1],
  ): Promise<RolledDeployOutcome> => {
    const { probe, signal, rollout } = options;
    const current = registry.resolve(input.namespace, input.name);
    if (current && isSplit(current)) {
      const version = await registry.find(input, signal);
      if (version?.version === current.live.version) return { record: current, version, change: 'unchanged' };
      requireUnsplit(current);
    }
    const outcome = await registry.put(input, { probe, serve: false, signal });
    const { record, version } = outcome;
    // The first version of a function serves at once, and so does one that did already.
    if (!rollout || version.version === record.live.version) return outcome;
    requireUnsplit(record);
    const running = await begin(record, version, rollout);
    return { ...outcome, record: registry.resolve(input.namespace, input.name) ?? record, rollout: running };
  };

  const watching = registry.watch((change) => {
    const record = change.kind === 'changed' ? change.record : change.previous;
    const run = runs.get(keyOf(record));
    if (change.kind === 'changed') {
      run?.follow(change.record);
      return;
    }
    runs.delete(keyOf(record));
    void (async () => {
      await run?.close();
      await records.forget(record.namespace, record.name);
    })().catch((error: unknown) =>
      logger.error({ err: error }, 'the rollouts of a removed function could not be removed'),
    );
  });

  return {
    async start() {
      const unreadable = (key: string, error: unknown) => logger.error({ err: error, key }, 'a rollout cannot be read');
      for (const record of await records.running(unreadable)) {
        const { namespace, name, id } = record;
        const run = runOf(record);
        const change = { action: 'resume', reason: 'RESTARTED', message: 'the server was started again' } as const;
        await run.begin(change).catch((error: unknown) => {
          logger.error({ err: error, namespace, name, id }, 'a rollout could not go on');
        });
      }
      timer = setInterval(() => {
        if (runs.size > 0) look();
      }, everyMs).unref();
    },

    async deploy(input, deploy) {
      const { namespace, name } = input;
      const key = keyOf(input);
      // Sent again while its first instance is still starting, it is the same rollout.
      while (preparing.has(key)) await preparing.get(key)?.catch(() => {});
      const again = runs.has(key) ? await findRunning(input, deploy.signal) : undefined;
      if (again) return again;
      // Nothing is awaited from here until it says that it is preparing.
      requireNone(namespace, name);
      const { rollout, ...plain } = deploy;
      const isStepwise = rollout && rollout.strategy !== 'all-at-once' && plain.serve !== false;
      if (!isStepwise) return registry.put(input, plain);
      const preparation = rollOut(input, deploy);
      preparing.set(key, preparation);
      try {
        return await preparation;
      } finally {
        preparing.delete(key);
      }
    },

    async list(namespace, name) {
      const stored = await records.list(namespace, name);
      const current = runs.get(keyOf({ namespace, name }))?.record;
      return stored.map((record) => showRollout(current?.id === record.id ? current : record)).reverse();
    },

    pause: async (namespace, name) => showRollout(await requireRun(namespace, name).setPaused(true)),
    resume: async (namespace, name) => showRollout(await requireRun(namespace, name).setPaused(false)),
    promote: async (namespace, name) => showRollout(await requireRun(namespace, name).promote()),
    abort: async (namespace, name) => showRollout(await requireRun(namespace, name).abort()),
    async abortRunning(namespace, name) {
      const run = runs.get(keyOf({ namespace, name }));
      if (!run) return undefined;
      try {
        return showRollout(await run.abort());
      } catch (error) {
        if (asEbbError(error).code !== 'ROLLOUT_NOT_RUNNING') throw error;
        // It ended meanwhile. What took it back came to the same; what let it finish has to be gone back on.
        const isBack =
          weightOf(run.record) === 0 && registry.resolve(namespace, name)?.live.version === run.record.from;
        return isBack ? showRollout(run.record) : undefined;
      }
    },
    requireNone,
    async hold() {
      isHeld = true;
      await Promise.all([...runs.values()].map((run) => run.settled()));
    },
    goOn() {
      isHeld = false;
    },
    isRunning: (namespace, name) => runs.has(keyOf({ namespace, name })),

    observed: gather,
    hurry() {
      failures += 1;
      if (failures < HURRY_AFTER || early || runs.size === 0) return;
      early = setTimeout(look, HURRY_MS).unref();
    },

    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      clearTimeout(early);
      watching[Symbol.dispose]();
      const all = [...runs.values()];
      runs.clear();
      await Promise.all(all.map((run) => run.close()));
    },
  };
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
