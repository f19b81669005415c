import { EbbError } from '../core/errors.ts';
import type { Queue, QueueRecord, RecordQuery } from '../store/queue.ts';

/** Records, newest first, and what the next page is asked for with; absent on the last one. */
export interface RecordPage {
  readonly records: readonly QueueRecord[];
  readonly next?: string;
}

/** One page of a list; `cursor` is the `next` of the one before. Throws INVALID_REQUEST for a cursor that is none. */
export async function listPage(
  queue: Pick<Queue, 'list'>,
  query: Omit<RecordQuery, 'beforeSeq'>,
  cursor: string | undefined,
): Promise<RecordPage> {
  const { limit } = query;
  const beforeSeq = cursor === undefined ? undefined : readCursor(cursor);
  const found = await queue.list({ ...query, beforeSeq, limit: limit + 1 });
  const records = found.slice(0, limit);
  const last = found.length > limit ? records.at(-1) : undefined;
  return { records, ...(last && { next: String(last.seq) }) };
}

function readCursor(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new EbbError('INVALID_REQUEST', '"cursor" must be the "next" of the page before');
}
