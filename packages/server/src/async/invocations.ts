import { INVOCATION_STATES, type SubmitCall } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { AcceptedCall, GivenCall, Invocations, KeptBody, RunningCalls } from '../core/ports.ts';
import type { Payload, Queue, QueueRecord } from '../store/queue.ts';
import { type Acceptance, contentTypeOf, functionLane } from './accept.ts';
import { listPage } from './list-page.ts';
import type { PayloadFiles } from './payload-files.ts';
import { readSubmit } from './read-submit.ts';
import { requireFile } from './require-file.ts';
import { showInvocation, sizeOf } from './show-invocation.ts';
import { aimAt } from './split-target.ts';
import type { Waiters } from './waiters.ts';
import { sameCall } from './same-call.ts';

/** States that do not change any more. */
const ENDED: ReadonlySet<string> = new Set(INVOCATION_STATES.slice(2));
/** A call that is aborted is waited for so long until it is settled. */
const ABORT_MS = 5_000;
/** Calls of one submit that are read and queued together. */
const SUBMIT_PART = 1_000;
const CANCELLED = 'cancelled by a user';

/** What {@link createInvocations} is made with. */
export interface InvocationsOptions {
  readonly queue: Pick<Queue, 'get' | 'list' | 'cancel'>;
  readonly acceptance: Acceptance;
  readonly files: Pick<PayloadFiles, 'open' | 'renew'>;
  readonly waiters: Waiters;
  readonly clock: Pick<Clock, 'now'>;
  /** What runs in this process. Default: nothing. */
  readonly running?: RunningCalls | undefined;
}

/** Makes the service behind the routes of asynchronous calls. */
export function createInvocations(options: InvocationsOptions): Invocations {
  const { queue, acceptance, files, waiters, clock, running } = options;

  const find = async (id: string, namespace: string | undefined): Promise<QueueRecord> => {
    const record = await queue.get(id);
    // What is another namespace's does not exist (T3).
    if (record && (namespace === undefined || record.namespace === namespace)) return record;
    throw new EbbError(
      'INVOCATION_NOT_FOUND',
      `there is no asynchronous call "${id.slice(0, 80)}", or it ended so long ago that it was forgotten; "ebb invocations list" shows those there are`,
    );
  };
  const waitFor = async (id: string, namespace: string | undefined, limitMs: number, signal?: AbortSignal) =>
    waiters.wait(
      id,
      async () => {
        const found = await find(id, namespace);
        return { found, isOver: ENDED.has(found.state) };
      },
      limitMs,
      signal,
    );
  const bodyOf = (payload: Payload, headers: readonly string[], status?: number): KeptBody => ({
    status,
    contentType: contentTypeOf(headers),
    sizeBytes: sizeOf(payload),
    open: () => {
      if (payload.kind === 'file') return files.open(payload.digest);
      return payload.kind === 'bytes' ? payload.bytes : new Uint8Array();
    },
  });

  return {
    async submit(calls, namespace) {
      const outcomes: (AcceptedCall | EbbError)[] = [];
      // A part at a time: between them others have their turn.
      for (let from = 0; from < calls.length; from += SUBMIT_PART) {
        const read = calls.slice(from, from + SUBMIT_PART).map((call) => readEach(call, namespace, clock.now()));
        const good = read.flatMap((one) => (one instanceof EbbError ? [] : [one]));
        const accepted = (await acceptance.enqueueAll(good)).values();
        for (const one of read) outcomes.push(one instanceof EbbError ? one : nextOf(accepted));
      }
      return outcomes;
    },
    get: async (id, namespace) => showInvocation(await find(id, namespace)),
    wait: async (id, { namespace, limitMs, signal }) => showInvocation(await waitFor(id, namespace, limitMs, signal)),
    async list({ namespace, function: name, states, key, sinceAt, beforeAt, cursor, limit }) {
      const { records, ...more } = await listPage(
        queue,
        {
          namespace,
          lane: name === undefined ? undefined : functionLane(namespace, name),
          states,
          key,
          sinceAt,
          beforeAt,
          limit,
        },
        cursor,
      );
      return { invocations: records.map((record) => showInvocation(record, true)), ...more };
    },
    async result(id, namespace) {
      const record = await find(id, namespace);
      const { result } = record;
      if (!result)
        throw new EbbError(
          'RESULT_NOT_FOUND',
          `the call is ${record.state} and has no answer that was kept${ENDED.has(record.state) ? '' : ' yet; ask with "wait"'}`,
        );
      await requireFile(files, record.id, result.body);
      return bodyOf(result.body, result.headers, result.status);
    },
    async payload(id, namespace) {
      const record = await find(id, namespace);
      await requireFile(files, record.id, record.body);
      return bodyOf(record.body, record.headers);
    },
    async functionOf(id, namespace) {
      const { target } = await find(id, namespace);
      if (target.kind === 'function') return { namespace: target.namespace, name: target.name };
      throw new EbbError('INVOCATION_NOT_FOUND', `the call "${id}" is for no function, so it has no log`);
    },
    async cancel(id, namespace) {
      await find(id, namespace);
      const cancelled = await queue.cancel(id, { now: clock.now(), message: CANCELLED });
      if (cancelled.kind === 'ended')
        throw new EbbError(
          'INVOCATION_ENDED',
          `the call has ended already (${cancelled.state}), so there is nothing to cancel; "ebb invocations show ${id}" says how`,
        );
      if (cancelled.kind === 'running') {
        if ((await running?.abort(id, CANCELLED)) !== true)
          throw new EbbError(
            'CONFLICT',
            'the call runs, but not in this server; it can be cancelled once its lease is over: try again in a minute',
            { retryAfterSeconds: 5 },
          );
        return showInvocation(await waitFor(id, namespace, ABORT_MS));
      }
      waiters.ended(id);
      return showInvocation(await find(id, namespace));
    },
    async replay(id, { namespace, target }) {
      const record = await find(id, namespace);
      await requireFile(files, record.id, record.body);
      return acceptance.enqueueKept({
        ...aimOf(record, target),
        ...sameCall(record),
        origin: { kind: 'replay', of: id },
      });
    },
  };
}

function readEach(call: SubmitCall, namespace: string, now: number): GivenCall | EbbError {
  try {
    return readSubmit(call, namespace, now);
  } catch (error) {
    if (error instanceof EbbError) return error;
    throw error;
  }
}

function nextOf(accepted: Iterator<AcceptedCall | EbbError>): AcceptedCall | EbbError {
  const next = accepted.next();
  if (next.done === true) throw new Error('less was accepted than was handed in');
  return next.value;
}

/** What a replay is for: what the call was for, or another function, alias or version of its namespace (T3). */
function aimOf(record: QueueRecord, given: string | undefined) {
  const { namespace, target, lane } = record;
  if (given === undefined && target.kind !== 'function')
    return { namespace, name: '', qualifier: '', other: { target, lane }, maxAgeMs: record.expiresAt - record.runAt };
  if (given === undefined && target.kind === 'function')
    return { namespace, name: target.name, qualifier: target.qualifier };
  return aimAt(given ?? '', namespace, 'function');
}
