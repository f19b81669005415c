import type { Clock } from '../core/clock.ts';
import type { CallBody, CallOutcome, Invoker, PlatformCall } from '../core/ports.ts';
import type { Lease, Payload } from '../store/queue.ts';
import { createAnswerKeeper } from './answer-keeper.ts';
import { classifyCallError } from './classify-call-error.ts';
import type { Delivered, Deliverer } from './deliverer.ts';
import { parseRetryAfter } from './parse-retry-after.ts';
import type { PayloadFiles } from './payload-files.ts';

/** What calls of functions are made with. */
export interface FunctionDelivererOptions {
  readonly invoker: Invoker;
  readonly files: Pick<PayloadFiles, 'open' | 'writer' | 'maxBytes'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** Makes attempts of calls of functions, on the path of all other calls, and keeps their answers. */
export function createFunctionDeliverer({ invoker, files, clock }: FunctionDelivererOptions): Deliverer {
  return {
    async deliver(lease, signal) {
      await using keeper = createAnswerKeeper(files.writer(), files.maxBytes);
      const outcome = await invoker.invoke(callOf(lease, files), keeper, signal);
      const { startedAt, endedAt, version, instance } = outcome;
      const served = { startedAt, endedAt, version, instance };
      if (outcome.kind !== 'answered') return { ...served, ...failureOf(outcome) };
      const { result, note } = await keeper.finish();
      const retryAfterMs = parseRetryAfter(keeper.retryAfter, clock.now());
      const { status } = outcome;
      const { isInternal } = keeper;
      const message = note ?? answerText(status);
      return { ...served, verdict: 'answered', status, message, isInternal, retryAfterMs, result };
    },
  };
}

function failureOf(
  outcome: Exclude<CallOutcome, { readonly kind: 'answered' }>,
): Omit<Delivered, 'startedAt' | 'endedAt'> {
  if (outcome.kind === 'aborted') return { verdict: 'aborted', message: 'it was stopped before it was answered' };
  const { error, retryAfterMs } = outcome;
  const { code, status, message } = error;
  return {
    verdict: classifyCallError(code, outcome.instance !== undefined),
    status,
    errorCode: code,
    message,
    retryAfterMs,
  };
}

/** What is said of an answer that is an error. */
function answerText(status: number): string | undefined {
  return status < 400 ? undefined : `it answered ${status}`;
}

function callOf({ record, attempt }: Lease, files: Pick<PayloadFiles, 'open'>): PlatformCall {
  const { id, target, method, path, headers, body } = record;
  if (target.kind !== 'function') throw new Error(`a call for a ${target.kind} is none of a function`);
  const { namespace, name, qualifier } = target;
  return { callId: id, attempt, namespace, name, qualifier, method, path, headers, body: bodyOf(body, files) };
}

function bodyOf(body: Payload, files: Pick<PayloadFiles, 'open'>): CallBody {
  if (body.kind !== 'file') return body;
  const { digest, sizeBytes } = body;
  return { kind: 'stream', sizeBytes, open: () => files.open(digest) };
}
