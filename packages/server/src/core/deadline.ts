import type { EbbError } from './errors.ts';

/** A signal that aborts when `signal` does or after `ms`, whichever is first. */
export function signalWithin(ms: number, signal?: AbortSignal): AbortSignal {
  const limit = AbortSignal.timeout(ms);
  return signal ? AbortSignal.any([signal, limit]) : limit;
}

/**
 * Waits for `work` no longer than `ms`. Past that it rejects with `error()`, and `work` is left to its own
 * abort signal; its late outcome is swallowed.
 */
export async function within<T>(ms: number, work: Promise<T>, error: () => EbbError): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(error()), ms);
  });
  work.catch(() => {});
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
