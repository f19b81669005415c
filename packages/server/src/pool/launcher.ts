import { DEFAULT_PORT, formatDuration, HEALTH_PATH } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import { newShortId } from '../core/ids.ts';
import type { Logger } from '../core/logger.ts';
import type { CodeStore, LogBook, NamespaceRegistry, SecretRegistry, Version } from '../core/ports.ts';
import { awaitReady, describeExit } from '../engines/await-ready.ts';
import type { Engine, Instance, InstanceExit, InstanceSpec } from '../engines/engine.ts';
import type { ExitWatch } from './exit-watch.ts';
import { type LogPump, startLogPump } from './log-pump.ts';

/** Time an instance that did not become ready gets to end by itself. */
const FAILED_START_GRACE_MS = 500;
/** An instance that cannot be reached within this, although it was ready before, is given up. */
const ALIVE_WITHIN_MS = 2_000;
/** How long the last words of a failed start are waited for. */
const LAST_WORDS_MS = 300;

/** A running instance together with what follows it. */
export interface Launched {
  readonly instance: Instance;
  readonly log: LogPump;
  /** Resolves when the instance ended. */
  readonly exited: Promise<InstanceExit>;
}

/** What a launcher is made with. */
export interface LauncherOptions {
  readonly engine: Engine;
  readonly installation: string;
  readonly generation: string;
  readonly code: CodeStore;
  readonly secrets: SecretRegistry;
  readonly namespaces: NamespaceRegistry;
  readonly logs: LogBook;
  readonly exits: ExitWatch;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Longest time from create to ready, in milliseconds. */
  readonly startTimeoutMs: number;
}

/** Starts instances of versions and waits until they can take requests. */
export interface Launcher {
  /**
   * Starts one instance and resolves when it is ready. Throws START_FAILED with its last lines when it ended or
   * never became ready, or the engine's own error; then nothing of it is left.
   */
  launch(version: Version, signal?: AbortSignal): Promise<Launched>;
  /** Takes over an instance that an earlier server started; throws START_FAILED when it is not ready. */
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

  const ready = async (version: Version, launched: Launched, signal?: AbortSignal): Promise<Launched> => {
    const { instance, log, exited } = launched;
    const limit = AbortSignal.timeout(options.startTimeoutMs);
    try {
      await awaitReady(instance.target, {
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        exited,
        ...(version.spec.healthPath === undefined ? {} : { healthPath: version.spec.healthPath }),
      });
      return launched;
    } catch (error) {
      exits.forget(instance.id);
      const exit = await Promise.race([exited, Promise.resolve(undefined)]);
      await engine.stop(instance.id, { graceMs: exit ? 0 : FAILED_START_GRACE_MS }).catch((failure: unknown) => {
        logger.warn(
          { instance: instance.id, err: asEbbError(failure) },
          'an instance that failed to start could not be removed',
        );
      });
      await Promise.race([log.ended, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
      log.stop();
      if (signal?.aborted) throw signal.reason;
      const why = exit
        ? describeExit(exit)
        : limit.aborted
          ? `was not ready within ${formatDuration(options.startTimeoutMs)}: ${expectation(version)}`
          : `could not be reached: ${error instanceof Error ? error.message : String(error)}`;
      log.say(`the instance ${why}`);
      throw new EbbError('START_FAILED', `the instance of ${version.name} ${why}`, {
        cause: error,
        retryAfterSeconds: 1,
        logs: log.tail(),
      });
    }
  };

  return {
    launch: async (version, signal) => {
      const spec = await describeInstance(version, options);
      const exited = exits.watch(spec.id);
      let instance: Instance;
      try {
        instance = await engine.create(spec, signal);
      } catch (error) {
        exits.forget(spec.id);
        throw error;
      }
      const log = pumpOf(version, spec.id);
      return ready(version, { instance, log, exited }, signal);
    },
    adopt: (version, instance, signal) => {
      const exited = exits.watch(instance.id);
      const log = pumpOf(version, instance.id, clock.now());
      return ready(version, { instance, log, exited }, signal);
    },
    isAlive: async (version, { instance, exited }) => {
      const { healthPath } = version.spec;
      const signal = AbortSignal.timeout(ALIVE_WITHIN_MS);
      return awaitReady(instance.target, { signal, exited, ...(healthPath === undefined ? {} : { healthPath }) }).then(
        () => true,
        () => false,
      );
    },
  };
}

function expectation(version: Version): string {
  if (version.spec.runtime !== undefined) return 'the handler did not finish loading';
  const { port = DEFAULT_PORT, healthPath } = version.spec;
  if (healthPath === undefined) return `nothing listens on port ${port} (see "port")`;
  return `nothing on port ${port} answers ${healthPath} with a status from 200 to 299 (see "port" and "healthPath")`;
}

/** Everything the engine is told, built field by field from the version (E2). */
async function describeInstance(version: Version, options: LauncherOptions): Promise<InstanceSpec> {
  const { spec, limits, namespace, name } = version;
  const tenant = options.namespaces.get(namespace);
  if (!tenant) throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${namespace}"`);
  const secrets: Record<string, Uint8Array> = {};
  for (const secret of spec.secrets) secrets[secret] = await options.secrets.reveal(namespace, secret);
  return {
    id: `${name.slice(0, 32)}-${version.version}-${newShortId()}`,
    labels: {
      installation: options.installation,
      namespace,
      function: name,
      version: version.version,
      generation: options.generation,
    },
    source:
      spec.image === undefined
        ? { kind: 'code', runtime: 'node', codeDir: options.code.directory(version.code ?? '') }
        : {
            kind: 'image',
            image: spec.image,
            port: spec.port ?? DEFAULT_PORT,
            ...(version.imageDigest === undefined ? {} : { digest: version.imageDigest }),
            ...(spec.command === undefined ? {} : { command: spec.command }),
          },
    env: {
      ...spec.env,
      EBB_FUNCTION: name,
      EBB_NAMESPACE: namespace,
      EBB_VERSION: String(version.version),
      EBB_TIMEOUT_MS: String(limits.timeoutMs),
      EBB_HEALTH_PATH: spec.healthPath ?? HEALTH_PATH,
      ...(spec.runtime === undefined
        ? {}
        : {
            EBB_SIGNATURE: spec.signature ?? 'auto',
            ...(spec.handler === undefined ? {} : { EBB_HANDLER: spec.handler }),
          }),
    },
    secrets,
    limits: {
      memoryBytes: limits.memoryBytes,
      cpuCores: limits.cpuCores,
      pids: limits.pids,
      tmpBytes: limits.tmpBytes,
    },
    tenant: tenant.id,
    user: spec.user,
    network: spec.network,
    readOnlyRootFilesystem: spec.readOnlyRootFilesystem,
  };
}
