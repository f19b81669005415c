import { asEbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { LogBook, Version } from '../core/ports.ts';
import type { Engine, EngineLogLine } from '../engines/engine.ts';

/** Lines kept per instance to explain a failed start. */
const TAIL_LINES = 20;

/** What V8 says of its own insides when it aborts, more lines than are kept; `ebb logs` has them. */
const STACK_OF_V8 = /^(?:----- Native stack trace -----| *\d+: 0x[0-9a-f]+ .*|)$/;

/** What follows one instance's output. */
export interface LogPump {
  /** The last lines the instance wrote, oldest first; of those only what one call wrote, if it is named. */
  tail(callId?: string): readonly string[];
  /** Adds a line of the platform about the instance. */
  say(text: string): void;
  /** Resolves when the output has ended or {@link stop} was called. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Carries what an instance writes into the log book until it ends. */
export function startLogPump(options: {
  readonly engine: Engine;
  readonly logs: LogBook;
  readonly version: Version;
  readonly instanceId: string;
  readonly sinceMs?: number;
  readonly now: () => number;
  readonly logger: Logger;
}): LogPump {
  const { engine, logs, version, instanceId } = options;
  const stopping = new AbortController();
  const tail: EngineLogLine[] = [];
  const subject = {
    namespace: version.namespace,
    function: version.name,
    version: version.version,
    instance: instanceId,
  };

  const pump = async () => {
    const follow = {
      follow: true,
      signal: stopping.signal,
      ...(options.sinceMs === undefined ? {} : { sinceMs: options.sinceMs }),
    };
    for await (const line of engine.logs(instanceId, follow)) {
      if (!STACK_OF_V8.test(line.text)) tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      logs.append({ ...subject, ...line });
    }
  };

  return {
    tail: (callId) => tail.filter((line) => callId === undefined || line.callId === callId).map(({ text }) => text),
    say: (text) => logs.append({ ...subject, at: new Date(options.now()).toISOString(), source: 'platform', text }),
    ended: pump().catch((error: unknown) => {
      if (stopping.signal.aborted) return;
      options.logger.warn(
        { instance: instanceId, err: asEbbError(error) },
        'the output of an instance can no longer be read',
      );
    }),
    stop: () => stopping.abort(),
  };
}
