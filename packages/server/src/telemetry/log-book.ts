import { join } from 'node:path';
import { type LogLine, NAME_PATTERN } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { LogBook } from '../core/ports.ts';
import { createFunctionLog, type FunctionLog } from './function-log.ts';
import { createLogFilter, type LogFilter } from './log-filter.ts';
import type { LogFollower } from './log-follower.ts';
import { createLogSegments } from './log-segments.ts';

/** What the log of each function may cost; absent ones have defaults. */
export interface LogBookLimits {
  /** Disk space of one function's log. Default 16 MiB. */
  readonly maxBytes?: number;
  /** Default 1000. */
  readonly maxLinesPerSecond?: number;
  /** Default 1 MiB. */
  readonly maxBytesPerSecond?: number;
  /** Longest text of a line, in characters. Default 16,384. */
  readonly maxLineLength?: number;
}

/** What a log book is made of. */
export interface LogBookOptions {
  /** Directory for the logs, one folder a function. */
  readonly directory: string;
  readonly clock: Clock;
  readonly limits?: LogBookLimits;
  /** Told when lines cannot be written. */
  readonly logger?: Logger;
  /** How long lines are gathered before they are written. */
  readonly flushMs?: number;
}

/** A log book that keeps lines in files; disposing it writes what waits and ends every reader. */
export type FileLogBook = LogBook & AsyncDisposable;

const MIB = 2 ** 20;
const SEGMENTS = 8;
const MIN_SEGMENT_BYTES = 4096;

/** Makes a log book over `directory`; what an earlier process wrote there is read as if this one had. */
export function createLogBook(options: LogBookOptions): FileLogBook {
  const { directory, clock, limits = {}, logger, flushMs = 100 } = options;
  const maxBytes = limits.maxBytes ?? 16 * MIB;
  const segmentLimits = { maxBytes, segmentBytes: Math.max(MIN_SEGMENT_BYTES, Math.floor(maxBytes / SEGMENTS)) };
  const lineLimits = {
    maxLinesPerSecond: limits.maxLinesPerSecond ?? 1000,
    maxBytesPerSecond: limits.maxBytesPerSecond ?? MIB,
    maxLineLength: limits.maxLineLength ?? 16_384,
  };
  const logs = new Map<string, FunctionLog>();
  const dirty = new Set<FunctionLog>();
  let timer: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;
  let isFailing = false;
  let isClosed = false;

  function onWritten(failure?: unknown): void {
    if (failure !== undefined && !isFailing) {
      logger?.error({ err: failure }, 'function logs cannot be written; lines are being dropped');
    }
    isFailing = failure !== undefined;
  }

  /** Undefined for names that could lead out of the directory; nothing of that kind is ever deployed. */
  function logOf(namespace: string, name: string): FunctionLog | undefined {
    const key = `${namespace}/${name}`;
    const known = logs.get(key);
    if (known) return known;
    if (!NAME_PATTERN.test(namespace) || !NAME_PATTERN.test(name)) return undefined;
    const segments = createLogSegments(join(directory, namespace, name), segmentLimits);
    const made = createFunctionLog({ segments, clock, limits: lineLimits, onWritten });
    logs.set(key, made);
    return made;
  }

  /** One log after the other, so that a thousand noisy functions do not open a thousand files at once. */
  async function flush(): Promise<void> {
    const batch = [...dirty];
    dirty.clear();
    for (const log of batch) {
      await log.flush();
      if (log.isDirty) dirty.add(log);
    }
    flushing = undefined;
    if (dirty.size > 0) schedule();
  }

  function schedule(): void {
    if (timer || flushing || isClosed) return;
    timer = setTimeout(() => {
      timer = undefined;
      flushing = flush();
    }, flushMs).unref();
  }

  return {
    append(line) {
      const log = isClosed ? undefined : logOf(line.namespace, line.function);
      if (!log) return;
      log.append(line);
      dirty.add(log);
      schedule();
    },
    async *read(scope, query, signal) {
      const log = isClosed ? undefined : logOf(scope.namespace, scope.name);
      if (!log) return;
      const filter = createLogFilter(query);
      const { history, follower } = log.cut(query.follow);
      const stop = () => follower.end();
      signal?.addEventListener('abort', stop, { once: true });
      if (signal?.aborted) stop();
      try {
        yield* await history(query.tail, filter);
        if (query.follow) yield* follow(follower, filter, scope, clock);
      } finally {
        signal?.removeEventListener('abort', stop);
        log.leave(follower);
      }
    },
    async forget(namespace, name) {
      await logOf(namespace, name)?.forget();
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      clearTimeout(timer);
      await flushing;
      for (const log of logs.values()) await log.close();
    },
  };
}

async function* follow(
  follower: LogFollower,
  filter: LogFilter,
  scope: { readonly namespace: string; readonly name: string },
  clock: Clock,
): AsyncGenerator<LogLine, void, undefined> {
  for (;;) {
    await follower.wait();
    const { lines, skipped } = follower.take();
    if (skipped > 0) yield skippedLine(scope, skipped, lines[0], clock);
    for (const line of lines) if (filter(line)) yield line;
    if (follower.ended) return;
  }
}

function skippedLine(
  scope: { readonly namespace: string; readonly name: string },
  skipped: number,
  next: LogLine | undefined,
  clock: Clock,
): LogLine {
  return {
    at: new Date(clock.now()).toISOString(),
    namespace: scope.namespace,
    function: scope.name,
    version: next?.version ?? 0,
    instance: '',
    source: 'platform',
    text: `${skipped} log lines were skipped here: the reader is slower than the log; read them without "follow"`,
  };
}
