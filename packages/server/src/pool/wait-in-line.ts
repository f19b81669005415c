import { formatDuration } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { Fifo } from './fifo.ts';

/** Somebody who waits for a slot. */
export interface Waiter<Slot> {
  /** Number of the last arrival that those in line waited for, when this one joined it. */
  readonly after: number;
  resolve(slot: Slot): void;
  reject(error: EbbError): void;
}

/** How somebody waits. */
export interface WaitOptions {
  /** As in {@link Waiter}. */
  readonly after: number;
  /** The function in errors: `name.namespace`. */
  readonly label: string;
  /** Longest wait. */
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Called when the place was given up: the wait was too long, or nobody wants the slot any more. */
  readonly onLeft?: () => void;
}

/** Waits in a line for a slot. Rejects with NO_INSTANCE_IN_TIME, with what the waiter is told, or the signal's reason. */
export function waitInLine<Slot>(line: Fifo<Waiter<Slot>>, options: WaitOptions): Promise<Slot> {
  const { after, label, waitMs, signal, onLeft } = options;
  if (signal?.aborted) return Promise.reject(signal.reason as Error);
  return new Promise<Slot>((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const leave = (error: Error) => {
      place.leave();
      settle();
      onLeft?.();
      reject(error);
    };
    const onAbort = () => leave(signal?.reason as Error);
    const place = line.push({
      after,
      resolve: (slot) => {
        settle();
        resolve(slot);
      },
      reject: (error) => {
        settle();
        reject(error);
      },
    });
    const timer = setTimeout(() => {
      const message = `no instance of ${label} became free within ${formatDuration(waitMs)}`;
      leave(new EbbError('NO_INSTANCE_IN_TIME', message, { retryAfterSeconds: 1 }));
    }, waitMs);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
