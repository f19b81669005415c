import { DEAD_LETTERS_MAX_STEP } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { DeadLetterChoice, DeadLetterFilter, DeadLetters, FunctionRegistry } from '../core/ports.ts';
import type { Queue, QueueRecord, RecordQuery } from '../store/queue.ts';
import { functionLane } from './accept.ts';
import { listPage } from './list-page.ts';
import { type Moved, moveLetters, type MoveLettersOptions, redriveIdOf } from './move-letters.ts';
import { showInvocation } from './show-invocation.ts';

/** What the service of dead letters is made with. */
export interface DeadLettersOptions extends MoveLettersOptions {
  readonly queue: Pick<Queue, 'get' | 'list' | 'redrive' | 'purge'>;
  readonly registry: Pick<FunctionRegistry, 'hasNamespace'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Letters of one step. Default: as many as a request may name. */
  readonly maxStep?: number | undefined;
}

/** The letters that a step is for, and where the next one begins. */
interface Step {
  readonly letters: readonly QueueRecord[];
  /** Named ones that are none. */
  readonly notFound: readonly string[];
  readonly next?: string | undefined;
}

/**
 * Makes the service behind the routes of dead letters. A step reads what it is for, then has the queue change it: each
 * letter with the call it becomes in one commit. A server that dies in between has done some of them; the same request
 * again finds only the others.
 */
export function createDeadLetters(options: DeadLettersOptions): DeadLetters {
  const { queue, registry, clock, maxStep = DEAD_LETTERS_MAX_STEP } = options;

  const find = async (id: string, namespace: string | undefined): Promise<QueueRecord | undefined> => {
    const record = await queue.get(id);
    return record && (namespace === undefined || record.namespace === namespace) ? record : undefined;
  };

  const page = async (filter: DeadLetterFilter, redriven: boolean | undefined, limit: number): Promise<Step> => {
    const { records: letters, ...more } = await listPage(queue, { ...queryOf(filter), redriven, limit }, filter.cursor);
    return { letters, notFound: [], ...more };
  };

  const stepOf = async (choice: DeadLetterChoice, redriven: false | undefined): Promise<Step> => {
    if (choice.kind === 'filter') return page(choice.filter, redriven, maxStep);
    const ids = [...new Set(choice.ids)];
    const found = await Promise.all(ids.map((id) => find(id, choice.namespace)));
    const letters = found.filter((record) => record?.state === 'dead') as QueueRecord[];
    const known = new Set(letters.map(({ id }) => id));
    return { letters, notFound: ids.filter((id) => !known.has(id)) };
  };

  const redrive = async (letters: readonly QueueRecord[]): Promise<readonly Moved[]> => {
    const pairs = letters.map((letter) => ({ id: letter.id, newId: redriveIdOf(letter) }));
    const done = await queue.redrive(pairs, clock.now());
    return pairs.filter((_, index) => done[index] === true).map(({ id, newId }) => ({ id, as: newId }));
  };

  return {
    async list({ redriven, limit, ...filter }) {
      const { letters, next } = await page(filter, redriven, limit);
      return {
        invocations: letters.map((record) => showInvocation(record, true)),
        ...(next !== undefined && { next }),
      };
    },

    async get(id, namespace) {
      const record = await find(id, namespace);
      if (record?.state === 'dead') return showInvocation(record);
      const shown = id.slice(0, 80);
      if (record)
        throw new EbbError(
          'INVOCATION_NOT_DEAD',
          `the call "${shown}" is ${record.state}, not in the dead letters; "ebb invocations show ${shown}" says more`,
        );
      throw new EbbError(
        'INVOCATION_NOT_FOUND',
        `there is no call "${shown}" in the dead letters; "ebb dead-letters list" shows them`,
      );
    },

    async redrive(choice, to) {
      const { letters, notFound, next } = await stepOf(choice, false);
      // The oldest first, as they once came.
      // In one stretch with the redrive: of a namespace that is being removed nothing is queued anew (T3).
      const kept = letters.filter(({ namespace }) => registry.hasNamespace(namespace));
      const inOrder = kept.toSorted((left, right) => left.seq - right.seq);
      const calls = to === undefined ? await redrive(inOrder) : await moveLetters(inOrder.filter(isLeft), to, options);
      return {
        count: calls.length,
        skipped: notFound.length + letters.length - calls.length,
        ...missed(notFound),
        calls: [...calls],
        ...(next !== undefined && { next }),
      };
    },

    async purge(choice) {
      const { letters, notFound, next } = await stepOf(choice, undefined);
      const done = await queue.purge(letters.map(({ id }) => id));
      const count = done.filter(Boolean).length;
      // Somebody else was faster with these.
      const gone = letters.flatMap(({ id }, index) => (done[index] === true ? [] : [id]));
      const missing = [...notFound, ...gone];
      return { count, skipped: missing.length, ...missed(missing), ...(next !== undefined && { next }) };
    },
  };
}

function isLeft({ dead }: QueueRecord): boolean {
  return dead?.redrivenAs === undefined;
}

function missed(ids: readonly string[]): { readonly notFound?: string[] } {
  return ids.length === 0 ? {} : { notFound: [...ids] };
}

function queryOf({
  namespace,
  function: name,
  reason,
  sinceAt,
  beforeAt,
}: DeadLetterFilter): Omit<RecordQuery, 'limit' | 'beforeSeq'> {
  return {
    namespace,
    lane: name === undefined ? undefined : functionLane(namespace, name),
    states: ['dead'],
    reason,
    sinceAt,
    beforeAt,
  };
}
