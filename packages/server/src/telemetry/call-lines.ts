import type { LogBook } from '../core/ports.ts';
import { describeInvocation } from './describe-invocation.ts';
import type { InvocationEvent, ShadowOutcome } from './invocation-event.ts';

/** Ordinary calls of one function that get a line of their own within a window. */
const ORDINARY_LINES = 100;
/** The same for calls that failed or waited for a start; more than ordinary ones, because they are looked for. */
const NOTABLE_LINES = 300;
const WINDOW_MS = 1_000;
/** Copies of calls whose answer was another get so many lines of a function's in a window; the metrics count all. */
const COPY_LINES = 1;

const WORTH_A_LINE: readonly ShadowOutcome[] = ['status-differs', 'body-differs', 'failed'];

interface Window {
  readonly sinceMs: number;
  ordinary: number;
  notable: number;
  copies: number;
  skipped: number;
  last: InvocationEvent;
}

/** Writes calls into the log of their function. */
export interface CallLines {
  add(event: InvocationEvent, nowMs: number): void;
  /** Says what was left out in windows that are over; with `all` in the running one too. */
  settle(nowMs: number, all?: boolean): void;
}

/**
 * Gives each call a line of the platform, up to a number a second, so that a busy function's own output is not crowded
 * out of its log; what gets no line is counted in one. Metrics count every call.
 */
export function createCallLines(logs: Pick<LogBook, 'append'>): CallLines {
  const windows = new Map<string, Window>();

  function close(key: string, { skipped, last }: Window): void {
    windows.delete(key);
    if (skipped === 0) return;
    const text = `${skipped} more calls in the same second; the metrics count them all`;
    const { callId: _, ...line } = describeInvocation(last);
    logs.append({ ...line, instance: '', text });
  }

  return {
    add(event, nowMs) {
      if (event.shadow && !WORTH_A_LINE.includes(event.shadow.outcome)) return;
      const key = event.label;
      let window = windows.get(key);
      if (window && nowMs - window.sinceMs >= WINDOW_MS) {
        close(key, window);
        window = undefined;
      }
      if (!window) {
        window = { sinceMs: nowMs, ordinary: 0, notable: 0, copies: 0, skipped: 0, last: event };
        windows.set(key, window);
      }
      if (event.shadow) {
        window.copies += 1;
        if (window.copies <= COPY_LINES) logs.append(describeInvocation(event));
        return;
      }
      window.last = event;
      const isNotable = event.cold || event.errorCode !== undefined || event.status >= 500;
      const isFull = isNotable ? window.notable >= NOTABLE_LINES : window.ordinary >= ORDINARY_LINES;
      if (isFull) {
        window.skipped += 1;
        return;
      }
      if (isNotable) window.notable += 1;
      else window.ordinary += 1;
      logs.append(describeInvocation(event));
    },
    settle(nowMs, all = false) {
      for (const [key, window] of windows) if (all || nowMs - window.sinceMs >= WINDOW_MS) close(key, window);
    },
  };
}
