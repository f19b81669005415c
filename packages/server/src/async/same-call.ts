import type { QueueRecord } from '../store/queue.ts';

/** What a call that is made again has of the one before: all but its id, its target and its times. */
export function sameCall({ method, path, headers, body, priority, rules, callbacks }: QueueRecord) {
  return { method, path, headers, payload: body, priority, key: rules?.key, callbacks };
}
