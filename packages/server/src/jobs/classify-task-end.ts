import { ERRORS, formatDuration } from '@ebb/contract';
import type { EbbError } from '../core/errors.ts';
import type { CallOutcome } from '../core/ports.ts';
import type { AttemptEnd } from './decide-task-end.ts';

/** Why a running attempt was told to stop. */
export type StopReason =
  | { readonly kind: 'timeout'; readonly timeoutMs: number }
  /** The job is ended, for the given reason. */
  | { readonly kind: 'ended'; readonly reason: string }
  /** The server stops. */
  | { readonly kind: 'closing' };

/** How a process ended, as the engine says it. */
export interface TaskExit {
  readonly code?: number;
  readonly signal?: string;
  readonly outOfMemory: boolean;
}

/** The end of an attempt that was a container. */
export function classifyExit(exit: TaskExit, stop: StopReason | undefined): AttemptEnd {
  const facts = {
    ...(exit.code === undefined ? {} : { exitCode: exit.code }),
    ...(exit.signal === undefined ? {} : { signal: exit.signal }),
    ...(exit.outOfMemory ? { outOfMemory: true as const } : {}),
  };
  if (stop) return { ...facts, ...classifyStop(stop) };
  if (exit.code === 0) return { kind: 'succeeded', ...facts };
  return { kind: 'failed', message: describeTaskExit(exit), ...facts };
}

/** The end of an attempt that was told to stop. */
function classifyStop(stop: StopReason): AttemptEnd {
  if (stop.kind === 'ended') return { kind: 'cancelled', message: stop.reason };
  if (stop.kind === 'closing') return { kind: 'lost', message: 'the server was stopped' };
  return { kind: 'failed', message: `did not end within its timeout of ${formatDuration(stop.timeoutMs)}` };
}

/** The end of an attempt that failed with an error of the platform's catalog. */
export function classifyError(error: EbbError): AttemptEnd {
  const { message, retryAfterSeconds } = error;
  // What an image or a function itself does wrong is not mended by trying for ever.
  if (error.code === 'START_FAILED' || ERRORS[error.code].fault === 'function') return { kind: 'failed', message };
  // A namespace at its limit, or a full queue, passes.
  if (ERRORS[error.code].fault === 'caller' && !ERRORS[error.code].retryable) return { kind: 'failed', message };
  return {
    kind: 'lost',
    message,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterMs: retryAfterSeconds * 1000 }),
  };
}

/** The end of an attempt that was a call. */
export function classifyCall(outcome: CallOutcome, stop: StopReason | undefined): AttemptEnd {
  if (outcome.kind === 'aborted') return stop ? classifyStop(stop) : { kind: 'lost', message: 'the call was aborted' };
  if (outcome.kind === 'failed') {
    const end = classifyError(outcome.error);
    return end.kind === 'lost' && outcome.retryAfterMs !== undefined
      ? { ...end, retryAfterMs: outcome.retryAfterMs }
      : { ...end, status: outcome.error.status };
  }
  const { status } = outcome;
  if (status < 400) return { kind: 'succeeded', status };
  return { kind: 'failed', status, message: `the function answered ${status}` };
}

function describeTaskExit({ code, signal, outOfMemory }: TaskExit): string {
  if (outOfMemory) return 'ran out of memory; raise "memory"';
  if (signal !== undefined) return `was ended by ${signal}`;
  return `ended with exit code ${code ?? 'unknown'}`;
}
