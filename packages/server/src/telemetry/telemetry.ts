import type { Logger } from '../core/logger.ts';
import type { LogBook } from '../core/ports.ts';
import { describeInvocation } from './describe-invocation.ts';
import type { InvocationEvent } from './invocation-event.ts';
import type { Metrics } from './metrics.ts';

/** What the telemetry hands events on to. */
export interface TelemetryOptions {
  readonly metrics: Pick<Metrics, 'record'>;
  readonly logs: Pick<LogBook, 'append'>;
  readonly logger: Logger;
  /** How long events are gathered before they are worked off. */
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

/** Makes the telemetry: events are gathered and worked off in batches, away from the calls they are about. */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { metrics, logs, logger, flushMs = 250 } = options;
  let pending: InvocationEvent[] = [];
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const batch = pending;
    pending = [];
    if (dropped > 0) {
      logger.warn({ dropped }, 'invocation events were dropped: more came than could be worked off');
      dropped = 0;
    }
    for (const event of batch) {
      try {
        metrics.record(event);
        if (event.version > 0) logs.append(describeInvocation(event));
      } catch (error) {
        logger.error({ err: error, callId: event.callId }, 'an invocation event could not be worked off');
      }
    }
  }

  return {
    record(event) {
      if (pending.length >= MAX_PENDING) {
        dropped += 1;
        return;
      }
      pending.push(event);
      timer ??= setTimeout(flush, flushMs).unref();
    },
    flush,
    async [Symbol.asyncDispose]() {
      flush();
    },
  };
}
