import { createHash } from 'node:crypto';
import type { AcceptedCall } from '../core/ports.ts';
import type { Queue, QueueRecord } from '../store/queue.ts';
import type { Acceptance } from './accept.ts';
import type { PayloadFiles } from './payload-files.ts';
import { requireFile } from './require-file.ts';
import { aimAt } from './split-target.ts';
import { sameCall } from './same-call.ts';

/** What {@link moveLetters} needs. */
export interface MoveLettersOptions {
  readonly queue: Pick<Queue, 'purge'>;
  readonly acceptance: Pick<Acceptance, 'enqueueKept'>;
  readonly files: Pick<PayloadFiles, 'renew'>;
}

/** A letter, and the call it became. */
export interface Moved {
  readonly id: string;
  readonly as: string;
}

/**
 * Queues letters, oldest first, as calls of `to`, a function, alias or version of their namespace (T3), and takes them out
 * of the dead letters once that is on disk. The new id follows from the letter's, so a move that dies in between is
 * completed by doing it again, and makes nothing twice. Those that are not accepted stay where they are, and the first
 * error is thrown when the others are done: what `enqueueKept` throws, and INVALID_REQUEST for what `to` must not be.
 */
export async function moveLetters(
  letters: readonly QueueRecord[],
  to: string,
  { queue, acceptance, files }: MoveLettersOptions,
): Promise<readonly Moved[]> {
  const aimed = letters.map((record) => ({ record, aim: aimAt(to, record.namespace, 'to') }));
  // Before any is queued, so that they are queued in order.
  const kept = await Promise.allSettled(letters.map((record) => requireFile(files, record.id, record.body)));
  const accepted = await Promise.allSettled(
    aimed.map(async ({ record, aim }, index): Promise<AcceptedCall> => {
      const file = kept[index];
      if (file?.status === 'rejected') throw file.reason;
      return acceptance.enqueueKept({
        ...aim,
        callId: redriveIdOf(record),
        ...sameCall(record),
        origin: { kind: 'redrive', of: record.id },
      });
    }),
  );
  const moved = letters.flatMap(({ id }, index) => {
    const one = accepted[index];
    return one?.status === 'fulfilled' ? [{ id, as: one.value.id }] : [];
  });
  await queue.purge(moved.map(({ id }) => id));
  const failed = accepted.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return moved;
}

/**
 * The id under which a letter is queued anew, always the same: a UUID that begins with the moment the call ended (version
 * 7), so that it lies near its like in an index.
 */
export function redriveIdOf({ id, endedAt = 0 }: Pick<QueueRecord, 'id' | 'endedAt'>): string {
  const moment = endedAt.toString(16).padStart(12, '0');
  const hash = createHash('sha256').update(`redrive:${id}`).digest('hex');
  return `${moment.slice(0, 8)}-${moment.slice(8, 12)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}
