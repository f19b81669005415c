import Dockerode from 'dockerode';
import { EbbError } from '../../core/errors.ts';
import { rejectOnAbort } from '../../core/reject-on-abort.ts';

/** How long each kind of engine call may take, in milliseconds. */
export interface DockerDeadlines {
  /** Questions: inspect, list, ping, stats, image lookup. */
  readonly queryMs: number;
  /** Changes that are quick on an idle daemon: create, pause, kill, network. */
  readonly changeMs: number;
  /** Starts, which queue up in the daemon under load, and removals. */
  readonly startMs: number;
  /** Pulls of images and the import of the runtime's own. */
  readonly pullMs: number;
}

/** Deadlines for a daemon on the same host. */
const DOCKER_DEADLINES: DockerDeadlines = {
  queryMs: 5000,
  changeMs: 10_000,
  startMs: 30_000,
  pullMs: 600_000,
};

/** A Docker daemon with a deadline on every call. */
export interface DockerClient {
  readonly docker: Dockerode;
  readonly deadlines: DockerDeadlines;
  /**
   * Does one call, `work`, which must hand its signal to the daemon's client. Throws ENGINE_TIMEOUT after `ms`,
   * ENGINE_UNAVAILABLE when nobody answers, ENGINE_FAILED with the daemon's own words for any refusal (the status is
   * then given by {@link statusOf}), and the reason of `signal` when that aborts. `what` completes "could not".
   */
  call<T>(what: string, ms: number, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** Speaks to the daemon behind a unix socket. */
export function createDockerClient(options: {
  readonly socketPath: string;
  readonly deadlines?: Partial<DockerDeadlines>;
}): DockerClient {
  const docker = new Dockerode({ socketPath: options.socketPath });
  return {
    docker,
    deadlines: { ...DOCKER_DEADLINES, ...options.deadlines },
    async call(what, ms, work, signal) {
      signal?.throwIfAborted();
      const controller = new AbortController();
      const timedOut = new EbbError(
        'ENGINE_TIMEOUT',
        `Docker could not ${what} within ${ms} ms; is the daemon stuck?`,
        {
          retryAfterSeconds: 5,
        },
      );
      const stop = (reason: unknown) => controller.abort(reason);
      const timer = setTimeout(stop, ms, timedOut);
      const onAbort = () => stop(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        return await Promise.race([work(controller.signal), rejectOnAbort(controller.signal)]);
      } catch (error) {
        if (controller.signal.aborted) throw controller.signal.reason;
        throw engineError(what, error, options.socketPath);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      }
    },
  };
}

/** HTTP status with which the daemon refused a call, or undefined when it gave none. */
export function statusOf(error: unknown): number | undefined {
  const cause = error instanceof EbbError ? error.cause : error;
  return hasStatus(cause) ? cause.statusCode : undefined;
}

/** The daemon's own words about a refusal. */
export function daemonWords(error: unknown): string {
  const cause = error instanceof EbbError ? (error.cause ?? error) : error;
  if (hasStatus(cause) && typeof cause.json === 'object' && cause.json !== null && 'message' in cause.json) {
    return String(cause.json.message).trim();
  }
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/^\(HTTP code \d+\) [^-]* - /, '').trim();
}

function hasStatus(error: unknown): error is Error & { statusCode: number; json?: unknown } {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number';
}

function engineError(what: string, error: unknown, socketPath: string): unknown {
  if (error instanceof EbbError) return error;
  if (hasStatus(error)) {
    return new EbbError('ENGINE_FAILED', `Docker could not ${what}: ${daemonWords(error)}`, { cause: error });
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (code !== undefined && UNREACHABLE.has(code)) {
    const advice = code === 'EACCES' ? 'this user may not open its socket' : 'is the daemon running?';
    return new EbbError('ENGINE_UNAVAILABLE', `Docker does not answer at ${socketPath} (${code}); ${advice}`, {
      cause: error,
      retryAfterSeconds: 5,
    });
  }
  if (error instanceof Error) {
    return new EbbError('ENGINE_FAILED', `Docker could not ${what}: ${error.message}`, { cause: error });
  }
  return error;
}

const UNREACHABLE: ReadonlySet<string> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EACCES',
  'ENOTSOCK',
]);
