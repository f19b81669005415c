import type { AttemptResource } from '@ebb/contract';
import type { NewItem, Queue } from '../../packages/server/src/store/queue.ts';

/** A queue to be tried, with what the suite needs beside it. */
export interface QueueUnderTest {
  /** An empty one. */
  readonly queue: Queue;
  /** Opens what the first one kept, after that was closed. Absent where nothing is kept. */
  readonly reopen?: (() => Promise<Queue>) | undefined;
}

/** The lane of {@link newItem}. */
export const LANE = 'acme/resize';

const HOUR = 3_600_000;

/** A call that may begin at once; times are small numbers so that tests read well. */
export function newItem(id: string, more: Partial<NewItem> = {}): NewItem {
  const acceptedAt = more.acceptedAt ?? 1000;
  return {
    id,
    namespace: 'acme',
    lane: LANE,
    target: { kind: 'function', namespace: 'acme', name: 'resize', qualifier: '' },
    method: 'POST',
    path: '/a?b=c',
    headers: ['Content-Type', 'text/plain', 'X-Two', '1', 'X-Two', '2'],
    body: { kind: 'bytes', bytes: new TextEncoder().encode(`body of ${id} \u{1f30a}`) },
    acceptedAt,
    runAt: acceptedAt,
    expiresAt: acceptedAt + HOUR,
    priority: 4,
    ...more,
  };
}

/** How an attempt ended, as a dispatcher would say it. */
export function attempt(number: number, end: AttemptResource['end'] = 'failed'): AttemptResource {
  const at = '2026-01-01T00:00:00.000Z';
  return { number, startedAt: at, endedAt: at, end, version: 3, instance: 'i-1', status: 500, message: 'went wrong' };
}
