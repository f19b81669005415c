import { DEFAULT_PORT, formatDuration, type StartReport } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { LogBook, Version } from '../core/ports.ts';
import { rejectOnAbort } from '../core/reject-on-abort.ts';
import { awaitReady, describeExit } from '../engines/await-ready.ts';
import type { Engine, Instance, InstanceExit, InstanceSpec } from '../engines/engine.ts';
import { classifyStartFailure, type StartFailure } from './classify-start-failure.ts';
import { decideSpareShape, type SpareShape } from './decide-spare-shape.ts';
import { describeInstance, type DescribeInstanceOptions } from './describe-instance.ts';
import { withLastWords } from './ending.ts';
import type { ExitWatch } from './exit-watch.ts';
import { isBlocked } from './is-blocked.ts';
import { healthQuestion, LOADED, type Question, readyQuestion } from './question-path.ts';
import { type LogPump, startLogPump } from './log-pump.ts';
import type { LaunchContext } from './launch-context.ts';
import type { TakenSpare, WarmPool } from './warm-pool.ts';

/** Time an instance that did not become ready gets to end by itself. */
const FAILED_START_GRACE_MS = 500;
/** An instance that cannot be reached within this, although it was ready before, is given up. */
const ALIVE_WITHIN_MS = 2_000;
/** A spare that has not taken its code within this is given up, and an instance made from scratch. */
const SPECIALISE_MS = 5_000;
/** How long the last words of a failed start are waited for. */
const LAST_WORDS_MS = 300;

/** A running instance together with what follows it. */
export interface Launched {
  /** Absent when an earlier server started it. */
  readonly start?: StartReport;
  readonly instance: Instance;
  readonly log: LogPump;
  /** Resolves when the instance ended. */
  readonly exited: Promise<InstanceExit>;
}

/** What a launcher is made with. */
export interface LauncherOptions extends DescribeInstanceOptions {
  readonly engine: Engine;
  readonly logs: LogBook;
  readonly exits: ExitWatch;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Instances kept ready without code, if there are any. */
  readonly spares?: Pick<WarmPool, 'take' | 'make' | 'makeRoom' | 'isOff'>;
  /** Longest time from create to ready, in milliseconds. */
  readonly startTimeoutMs: number;
}

/** Starts instances of versions and waits until they can take requests. */
export interface Launcher {
  /**
   * Starts one instance, of a spare if there is one that fits, and resolves when it is ready. Throws a {@link StartFailure} with its last lines when it ended
   * or never became ready, or the engine's own error; then nothing of it is left.
   */
  launch(version: Version, context: LaunchContext, signal?: AbortSignal): Promise<Launched>;
  /** Takes over an instance that an earlier server started; throws a {@link StartFailure} when it is not ready. */
  adopt(version: Version, instance: Instance, signal?: AbortSignal): Promise<Launched>;
  /** Whether an instance that was ready can still be reached. Never throws. */
  isAlive(version: Version, launched: Launched): Promise<boolean>;
}

/** Makes the {@link Launcher} of an engine. */
export function createLauncher(options: LauncherOptions): Launcher {
  const { engine, exits, clock, logger } = options;

  const pumpOf = (version: Version, instanceId: string, sinceMs?: number) =>
    startLogPump({
      engine,
      logs: options.logs,
      version,
      instanceId,
      now: () => clock.now(),
      logger,
      ...(sinceMs === undefined ? {} : { sinceMs }),
    });

  const ready = async (
    version: Version,
    launched: Launched,
    question: Question | undefined,
    signal?: AbortSignal,
  ): Promise<Launched> => {
    const { instance, log, exited } = launched;
    const limit = AbortSignal.timeout(options.startTimeoutMs);
    try {
      const either = signal ? AbortSignal.any([signal, limit]) : limit;
      await awaitReady(instance.target, { signal: either, exited, ...askedBy(question) });
      // Its server is well before the one that it passes calls on to.
      if (version.spec.openfaas !== undefined) await engine.awaitInner?.(instance.id, either);
      return launched;
    } catch (error) {
      exits.forget(instance.id);
      const ended = await Promise.race([exited, Promise.resolve(undefined)]);
      const isLate = !ended && limit.aborted;
      const isManaged = version.spec.runtime !== undefined;
      const stands = isLate && isManaged && (await isBlocked(instance.target, question === LOADED));
      await engine.stop(instance.id, { graceMs: ended ? 0 : FAILED_START_GRACE_MS }).catch((failure: unknown) => {
        logger.warn(
          { instance: instance.id, err: asEbbError(failure) },
          'an instance that failed to start could not be removed',
        );
      });
      await Promise.race([log.ended, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
      log.stop();
      if (signal?.aborted) throw signal.reason;
      const exit = ended && withLastWords(ended, log.tail());
      const code = classifyStartFailure({ exit, isManaged, isLate, isBlocked: stands });
      const why = exit
        ? `${describeStartExit(code, exit)} before it was ready`
        : isLate
          ? `was not ready within ${formatDuration(options.startTimeoutMs)}: ${stands ? BLOCKED : expectation(version)}`
          : `could not be reached: ${error instanceof Error ? error.message : String(error)}`;
      log.say(`the instance ${why}`);
      throw new EbbError(code, `the instance of ${version.name} ${why}`, {
        cause: error,
        retryAfterSeconds: 1,
        logs: log.tail(),
      });
    }
  };

  /** Gives a spare the version's code. Undefined when that failed; then the spare is gone or going. */
  const specialise = async (spec: InstanceSpec, { instance: spare }: TakenSpare, signal?: AbortSignal) => {
    const limit = AbortSignal.timeout(SPECIALISE_MS);
    try {
      const either = signal ? AbortSignal.any([signal, limit]) : limit;
      // A mount that hangs cannot be called off, but need not be waited for.
      return await Promise.race([engine.specialise({ ...spec, id: spare.id }, either), rejectOnAbort(either)]);
    } catch (error) {
      exits.forget(spare.id);
      void engine.stop(spare.id, { graceMs: 0 }).catch((failure: unknown) => {
        logger.warn({ instance: spare.id, err: asEbbError(failure) }, 'a spare instance could not be stopped yet');
      });
      signal?.throwIfAborted();
      logger.warn(
        { instance: spare.id, err: asEbbError(limit.aborted ? limit.reason : error) },
        'a spare instance did not take its code; another instance is made from scratch',
      );
      return undefined;
    }
  };

  /** Makes a spare for a version that found none. Undefined when that failed. */
  const makeSpare = async (shape: SpareShape, signal?: AbortSignal) => {
    try {
      return await options.spares?.make(shape, signal);
    } catch (error) {
      signal?.throwIfAborted();
      logger.warn({ err: asEbbError(error) }, 'a spare instance could not be made; one is made from scratch');
      return undefined;
    }
  };

  /** Makes an instance run, of a spare if one is there. */
  const make = async (
    version: Version,
    spec: InstanceSpec,
    cause: StartReport['cause'],
    signal?: AbortSignal,
  ): Promise<{ readonly made: Launched; readonly spare: StartReport['spare'] }> => {
    const { spares } = options;
    const isOff = !spares || spares.isOff;
    const shape = isOff ? undefined : decideSpareShape(spec);
    const ready = shape && spares?.take(shape);
    if (!shape) spares?.makeRoom();
    // Nobody waits for a deploy's instance, and the code it compiles as a spare makes the next starts faster.
    const made = shape && !ready && cause === 'deploy' ? await makeSpare(shape, signal) : undefined;
    const taken = ready ?? made;
    const specialised = taken && (await specialise(spec, taken, signal));
    if (taken && specialised) {
      const log = pumpOf(version, specialised.id);
      return { made: { instance: specialised, log, exited: taken.exited }, spare: ready ? 'used' : 'made' };
    }
    const exited = exits.watch(spec.id);
    try {
      const instance = await engine.create(spec, signal);
      const why = isOff ? 'off' : shape === undefined ? 'unfit' : taken ? 'failed' : 'empty';
      return { made: { instance, log: pumpOf(version, spec.id), exited }, spare: why };
    } catch (error) {
      exits.forget(spec.id);
      throw error;
    }
  };

  return {
    launch: async (version, { cause, decidedAtMs }, signal) => {
      const beganAtMs = clock.monotonic();
      const spec = await describeInstance(version, options);
      const gatheredAtMs = clock.monotonic();
      const { made, spare } = await make(version, spec, cause, signal);
      const madeAtMs = clock.monotonic();
      // A spare listens all along: only its own word says that the handler is loaded.
      const isSpecialised = spare === 'used' || spare === 'made';
      await ready(version, made, isSpecialised ? LOADED : readyQuestion(version.spec), signal);
      const madeMs = madeAtMs - gatheredAtMs;
      const start: StartReport = {
        cause,
        spare,
        admitMs: beganAtMs - decidedAtMs,
        codeMs: gatheredAtMs - beganAtMs,
        ...(isSpecialised ? { specialiseMs: madeMs } : { createMs: madeMs }),
        initMs: clock.monotonic() - madeAtMs,
      };
      return { ...made, start };
    },
    adopt: (version, instance, signal) => {
      const exited = exits.watch(instance.id);
      const log = pumpOf(version, instance.id, clock.now());
      // A server may have been killed while it specialised a spare, which listens but has no code then.
      const question = version.spec.runtime === undefined ? readyQuestion(version.spec) : LOADED;
      return ready(version, { instance, log, exited }, question, signal);
    },
    isAlive: async (version, { instance, exited }) => {
      // A connection alone would be accepted by the kernel, whatever the process does.
      const signal = AbortSignal.timeout(ALIVE_WITHIN_MS);
      return awaitReady(instance.target, { signal, exited, ...askedBy(healthQuestion(version.spec)) }).then(
        () => true,
        () => false,
      );
    },
  };
}

function askedBy(question: Question | undefined) {
  return question === undefined ? {} : { healthPath: question.path, isOptional: question.isOptional };
}

/** How an instance ended before it was ready, as the end of a sentence. */
function describeStartExit(code: StartFailure, exit: InstanceExit): string {
  if (code === 'HANDLER_FAILED') return 'could not load its handler and ended';
  if (code === 'NEVER_READY') return 'waited at top level for what never comes and ended';
  return describeExit(exit);
}

const BLOCKED = 'the handler blocks its event loop while it is loaded';

function expectation(version: Version): string {
  if (version.spec.runtime !== undefined) return 'the handler did not finish loading';
  const { port = DEFAULT_PORT } = version.spec;
  const { path: healthPath, isOptional } = readyQuestion(version.spec) ?? {};
  if (healthPath === undefined || isOptional) return `nothing listens on port ${port} (see "port")`;
  return `nothing on port ${port} answers ${healthPath} with a status from 200 to 299 (see "port" and "healthPath")`;
}
