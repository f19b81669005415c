import { resolveJob, SECRETS_PATH } from '@ebb/contract';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { Invoker, LogBook, NamespaceRegistry, SecretRegistry } from '../core/ports.ts';
import type { FoundTask, TaskIo, TaskRuns, TaskSpec } from '../engines/engine.ts';
import { classifyCall, classifyError, classifyExit, type StopReason } from './classify-task-end.ts';
import type { AttemptEnd } from './decide-task-end.ts';
import { createLineSplitter } from './line-splitter.ts';
import type { ResultCollector, ResultFiles } from './result-files.ts';
import { inputHeaders, runIdOf, taskCallId, type TaskAttempt, taskEnvironment, taskHeaders } from './task-context.ts';

/** What {@link createAttemptRunner} needs. */
export interface AttemptRunnerOptions {
  readonly installation: string;
  readonly generation: string;
  /** Undefined on an engine that runs no images. */
  readonly runs: TaskRuns | undefined;
  readonly invoker: Invoker;
  readonly namespaces: Pick<NamespaceRegistry, 'get'>;
  readonly secrets: Pick<SecretRegistry, 'reveal'>;
  readonly results: ResultFiles;
  readonly logs: Pick<LogBook, 'append'>;
  readonly clock: Clock;
}

/** Where a job whose input and output are those of a connection gets and puts them. */
export interface TaskStream {
  readonly input: AsyncIterable<Uint8Array>;
  readonly onOutput: TaskIo['onOutput'];
}

/** How an attempt is run. */
export interface AttemptHow {
  /** Aborts with a {@link StopReason}. */
  readonly signal: AbortSignal;
  /** Aborts when another server goes on with the attempt; then the runner throws. */
  readonly leave: AbortSignal;
  readonly stream?: TaskStream | undefined;
  /** A container of this attempt that runs, or ran, already. */
  readonly found?: FoundTask | undefined;
  /** Whether many tasks like it follow. */
  readonly isOneOfMany: boolean;
}

/** Runs single attempts. */
export interface AttemptRunner {
  /** Never throws but for `leave`. */
  run(attempt: TaskAttempt, how: AttemptHow): Promise<AttemptEnd>;
  /** Says something about a task in the job's log. */
  say(attempt: Pick<TaskAttempt, 'job' | 'index' | 'attempt'>, text: string): void;
}

/** Makes what runs a task once, as a container or as a call, and gathers what it says. */
export function createAttemptRunner(options: AttemptRunnerOptions): AttemptRunner {
  const { runs, invoker, results, clock } = options;

  const appendLine = (
    attempt: Parameters<AttemptRunner['say']>[0],
    source: 'stdout' | 'stderr' | 'platform',
    text: string,
  ) =>
    options.logs.append({
      at: new Date(clock.now()).toISOString(),
      namespace: attempt.job.namespace,
      function: attempt.job.id,
      version: 0,
      instance: runIdOf(attempt),
      source,
      callId: taskCallId(attempt),
      text,
    });

  async function describe(attempt: TaskAttempt, how: AttemptHow): Promise<TaskSpec> {
    const { job, index, attempt: number, input } = attempt;
    const { spec, namespace } = job;
    const tenant = options.namespaces.get(namespace);
    if (!tenant) throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${namespace}"`);
    const secrets: Record<string, Uint8Array> = {};
    for (const secret of spec.secrets) secrets[secret] = await options.secrets.reveal(namespace, secret);
    const { memoryBytes, cpuCores, pids, tmpBytes, graceMs } = resolveJob(spec);
    return {
      id: runIdOf(attempt),
      labels: {
        installation: options.installation,
        namespace,
        job: job.id,
        task: index,
        attempt: number,
        generation: options.generation,
      },
      source: {
        image: spec.image ?? '',
        ...(job.imageDigest === undefined ? {} : { digest: job.imageDigest }),
        ...(spec.command === undefined ? {} : { command: spec.command }),
      },
      env: { ...spec.env, ...taskEnvironment(attempt), EBB_SECRETS_DIR: SECRETS_PATH },
      secrets,
      limits: { memoryBytes, cpuCores, pids, tmpBytes },
      tenant: tenant.id,
      user: spec.user,
      network: spec.network,
      readOnlyRootFilesystem: spec.readOnlyRootFilesystem,
      hasInput: input !== undefined || how.stream !== undefined,
      graceMs,
      cleanup: spec.cleanup,
      ...(how.isOneOfMany ? { group: job.id } : {}),
    };
  }

  async function runContainer(attempt: TaskAttempt, how: AttemptHow, collector: ResultCollector): Promise<AttemptEnd> {
    if (!runs) throw new EbbError('UNSUPPORTED_BY_ENGINE', 'this engine runs no images');
    const out = createLineSplitter((text) => appendLine(attempt, 'stdout', text));
    const err = createLineSplitter((text) => appendLine(attempt, 'stderr', text));
    const io: TaskIo = {
      input: how.stream?.input ?? (attempt.input === undefined ? undefined : Buffer.from(attempt.input)),
      leave: how.leave,
      onOutput(source, chunk) {
        if (source === 'stderr') err.write(chunk);
        if (how.stream) return how.stream.onOutput(source, chunk);
        if (source === 'stderr') return undefined;
        out.write(chunk);
        return collector.write(chunk);
      },
    };
    const { spec } = attempt.job;
    const exit = how.found
      ? await runs.join(how.found, { graceMs: resolveJob(spec).graceMs, cleanup: spec.cleanup }, io, how.signal)
      : await runs.run(await describe(attempt, how), io, how.signal);
    out.end();
    err.end();
    const end = classifyExit(exit, stopReasonOf(how.signal));
    return how.stream ? end : withResult(end, await collector.finish());
  }

  async function runCall(attempt: TaskAttempt, how: AttemptHow, collector: ResultCollector): Promise<AttemptEnd> {
    const { job, input } = attempt;
    const [, name = '', qualifier = ''] = /^([^:@]+)(.*)$/.exec(job.spec.function ?? '') ?? [];
    let contentType: string | undefined;
    const outcome = await invoker.invoke(
      {
        callId: taskCallId(attempt),
        attempt: attempt.attempt,
        namespace: job.namespace,
        name,
        qualifier,
        method: 'POST',
        path: '/',
        headers: inputHeaders(attempt),
        platformHeaders: taskHeaders(attempt),
        body: input === undefined ? { kind: 'none' } : { kind: 'bytes', bytes: Buffer.from(input) },
      },
      {
        onHead(_status, headers) {
          const at = headers.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type');
          contentType = at === -1 ? undefined : headers[at + 1];
        },
        onData: (chunk) => collector.write(chunk),
      },
      how.signal,
    );
    const end = classifyCall(outcome, stopReasonOf(how.signal));
    return outcome.kind === 'answered' ? withResult(end, await collector.finish(contentType)) : end;
  }

  return {
    async run(attempt, how) {
      const collector = results.collect(attempt.job.id, attempt.index, attempt.attempt);
      let isKept = false;
      try {
        const end = await (attempt.job.spec.image === undefined ? runCall : runContainer)(attempt, how, collector);
        isKept = end.result !== undefined;
        return end;
      } catch (error) {
        if (how.leave.aborted) throw error;
        const stop = stopReasonOf(how.signal);
        // Stopped before it had begun.
        if (stop && error === how.signal.reason) return classifyExit({ outOfMemory: false }, stop);
        return classifyError(asEbbError(error));
      } finally {
        if (!isKept) await collector.discard();
      }
    },
    say: (attempt, text) => appendLine(attempt, 'platform', text),
  };
}

function withResult(end: AttemptEnd, result: AttemptEnd['result']): AttemptEnd {
  return result === undefined ? end : { ...end, result };
}

function stopReasonOf(signal: AbortSignal): StopReason | undefined {
  return signal.aborted ? (signal.reason as StopReason) : undefined;
}
