/** A second signal sooner than this after the first is an echo: npm and the terminal both deliver one Ctrl-C. */
const ECHO_MS = 300;

/**
 * Calls `onFirst` at the first SIGINT or SIGTERM and `onSecond` at the next one that a person meant. Disposing puts
 * the signals back to what they were.
 */
export function onStopSignals(
  onFirst: (signal: NodeJS.Signals) => void,
  onSecond: (signal: NodeJS.Signals) => void,
): Disposable {
  let firstAt: number | undefined;
  const listener = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      onFirst(signal);
    } else if (now - firstAt > ECHO_MS) {
      onSecond(signal);
    }
  };
  process.on('SIGINT', listener).on('SIGTERM', listener);
  return {
    [Symbol.dispose]() {
      process.off('SIGINT', listener).off('SIGTERM', listener);
    },
  };
}
