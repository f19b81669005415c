import type { Clock } from '../../core/clock.ts';

/** How long a post counts as the same one sent again. Repeats of an alert that keeps firing are further apart. */
const AGAIN_MS = 10_000;

/** Which functions of a post are done with, although its sender was told that it failed. */
export interface AlertRetries {
  /** The functions that a post with this text led to a change of already; empty for one that did not just fail. */
  doneOf(text: string): ReadonlySet<string>;
  /** Takes note that a post failed after it was followed for some functions. */
  failed(text: string, done: ReadonlySet<string>): void;
}

/**
 * Alertmanager sends a whole post again when one alert in it failed. Without a memory each time would be one more step for
 * all the others, up to the most there may be.
 */
export function createAlertRetries(clock: Pick<Clock, 'monotonic'>): AlertRetries {
  const posts = new Map<string, { readonly done: ReadonlySet<string>; readonly firstAt: number }>();
  const forgetOld = () => {
    for (const [text, { firstAt }] of posts) if (clock.monotonic() - firstAt > AGAIN_MS) posts.delete(text);
  };
  return {
    doneOf(text) {
      forgetOld();
      return posts.get(text)?.done ?? new Set();
    },
    failed(text, done) {
      posts.set(text, { done, firstAt: posts.get(text)?.firstAt ?? clock.monotonic() });
    },
  };
}
