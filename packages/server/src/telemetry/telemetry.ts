import { setImmediate } from 'node:timers/promises';
import type { Logger } from '../core/logger.ts';
import type { LogBook } from '../core/ports.ts';
import { createCallLines } from './call-lines.ts';
import type { InvocationEvent } from './invocation-event.ts';
import type { Metrics } from './metrics.ts';
import type { VersionTally } from './version-tally.ts';

/** What the telemetry hands events on to. */
export interface TelemetryOptions {
  readonly metrics: Pick<Metrics, 'record'>;
  readonly logs: Pick<LogBook, 'append'>;
  /** Counts the calls of versions under rollout. */
  readonly versions?: Pick<VersionTally, 'record'>;
  readonly logger: Logger;
  /** How long events are gathered before they are worked off: so short that most die young, which the collector is quick at. */
  readonly flushMs?: number;
}

/** Takes the wide events of the data plane. */
export interface Telemetry extends AsyncDisposable {
  /** Takes an event: one push to an array, so the warm path may call it. Never throws. */
  record(event: InvocationEvent): void;
  /** Works off what was recorded until now, as a scrape or a test wants it. */
  flush(): void;
}

/** Most events kept between two flushes; beyond it an event is dropped and counted. */
const MAX_PENDING = 200_000;
/** Events worked off in one go, so that calls in flight wait less than a millisecond for it. */
const BATCH = 250;

/** Makes the telemetry: events are gathered and worked off in batches, away from the calls they are about. */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { metrics, logs, versions, logger, flushMs = 5 } = options;
  const lines = createCallLines(logs);
  let pending: InvocationEvent[] = [];
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let isDisposed = false;

  function workOff(batch: readonly InvocationEvent[]): void {
    const nowMs = performance.now();
    for (const event of batch) {
      try {
        metrics.record(event);
        if (event.shadow) {
          // What else is derived from events is about calls that somebody made.
          lines.add(event, nowMs);
          continue;
        }
        versions?.record(event);
        if (event.version > 0) lines.add(event, nowMs);
      } catch (error) {
        logger.error({ err: error, callId: event.callId }, 'an invocation event could not be worked off');
      }
    }
  }

  function warnOfDrops(): void {
    if (dropped === 0) return;
    logger.warn({ dropped }, 'invocation events were dropped: more came than could be worked off');
    dropped = 0;
  }

  async function flushGently(): Promise<void> {
    warnOfDrops();
    while (pending.length > 0 && !isDisposed) {
      const batch = pending.slice(0, BATCH);
      pending = pending.slice(BATCH);
      workOff(batch);
      await setImmediate();
    }
    timer = undefined;
    lines.settle(performance.now());
    if (pending.length > 0) schedule();
  }

  function schedule(): void {
    timer ??= setTimeout(() => void flushGently(), flushMs).unref();
  }

  function flush(): void {
    warnOfDrops();
    const batch = pending;
    pending = [];
    workOff(batch);
  }

  return {
    record(event) {
      if (pending.length >= MAX_PENDING) {
        dropped += 1;
        return;
      }
      pending.push(event);
      schedule();
    },
    flush,
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      clearTimeout(timer);
      flush();
      lines.settle(performance.now(), true);
    },
  };
}
