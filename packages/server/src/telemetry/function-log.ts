import type { LogLine } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import type { LogFilter } from './log-filter.ts';
import { createLogFollower, type LogFollower } from './log-follower.ts';
import type { LogSegments } from './log-segments.ts';
import { createRateCap } from './rate-cap.ts';

/** What one function's log may cost. */
export interface FunctionLogLimits {
  readonly maxLinesPerSecond: number;
  readonly maxBytesPerSecond: number;
  /** Longest text of a line, in characters; the rest is cut off and counted. */
  readonly maxLineLength: number;
}

/** A log cut in two at one moment. */
export interface LogCut {
  /** The newest `count` lines before the cut that pass the filter, oldest first. */
  readonly history: (count: number, filter: LogFilter) => Promise<readonly LogLine[]>;
  /** Gets the lines after the cut, if the reader follows. */
  readonly follower: LogFollower;
}

/** The log of one function: what waits to be written, who follows, and what was dropped. */
export interface FunctionLog {
  append(line: LogLine): void;
  /** Whether lines or a count of dropped ones wait to be written. */
  readonly isDirty: boolean;
  /** Writes what waits. Never throws; lines that cannot be written are counted as dropped. */
  flush(): Promise<void>;
  /**
   * Cuts the log in two: what was appended until now is the history, what comes later goes to the follower. So a
   * reader misses no line and gets none twice.
   */
  cut(follow: boolean): LogCut;
  leave(follower: LogFollower): void;
  /**
   * Removes everything stored and ends every follower. What instances of the removed versions still write is not
   * kept: version numbers of a name only grow, so a function deployed later under the name is told apart.
   */
  forget(): Promise<void>;
  /** Ends every follower and writes what waits. */
  close(): Promise<void>;
}

/** What a function's log is made of. */
export interface FunctionLogOptions {
  readonly segments: LogSegments;
  readonly clock: Clock;
  readonly limits: FunctionLogLimits;
  /** Told after every write whether it failed, for the server's own log. */
  readonly onWritten: (failure?: unknown) => void;
}

const MAX_UNWRITTEN_LENGTH = 4 * 2 ** 20;
const MAX_FOLLOWER_LINES = 10_000;
const DROP_NOTICE_MS = 1000;

/** Makes the log of one function. */
export function createFunctionLog(options: FunctionLogOptions): FunctionLog {
  const { segments, clock, limits, onWritten } = options;
  const rate = { linesPerSecond: limits.maxLinesPerSecond, bytesPerSecond: limits.maxBytesPerSecond };
  // Two caps, so that a function that floods its log does not hide what the platform says about it.
  const caps = { instance: createRateCap(rate), platform: createRateCap(rate) };
  const followers = new Set<LogFollower>();
  let pending: string[] = [];
  /** Drops that lines in `pending` announce, beyond those lines themselves: lost again if the write fails. */
  let announcedDrops = 0;
  let unwrittenLength = 0;
  let dropped: { count: number; last: LogLine; sinceMs: number } | undefined;
  let highestVersion = -1;
  let forgottenVersion = -1;
  let chain: Promise<unknown> = Promise.resolve();

  function keep(line: LogLine): void {
    const encoded = JSON.stringify(line);
    pending.push(encoded);
    unwrittenLength += encoded.length;
    for (const follower of followers) follower.push(line);
  }

  function drop(line: LogLine, count = 1): void {
    if (dropped) {
      dropped.count += count;
      dropped.last = line;
    } else {
      dropped = { count, last: line, sinceMs: clock.monotonic() };
    }
  }

  function announceDrops(): void {
    if (!dropped) return;
    const { count, last } = dropped;
    dropped = undefined;
    announcedDrops += count - 1;
    const { at: _at, callId: _callId, ...about } = last;
    const text = `${count} log ${count === 1 ? 'line was' : 'lines were'} dropped: more came than ${limits.maxLinesPerSecond} lines or ${limits.maxBytesPerSecond} bytes a second, or than the disk took`;
    keep({ ...about, at: new Date(clock.now()).toISOString(), source: 'platform', text });
  }

  /** The batch is taken now and written after those before it. */
  function write(): Promise<void> {
    const batch = pending;
    if (batch.length === 0) return chain.then(() => {});
    const drops = batch.length + announcedDrops;
    pending = [];
    announcedDrops = 0;
    const written = chain.then(async () => {
      try {
        await segments.append(batch);
        onWritten();
      } catch (error) {
        onWritten(error);
        const last = batch.at(-1);
        if (last !== undefined) drop(JSON.parse(last) as LogLine, drops);
      } finally {
        for (const line of batch) unwrittenLength -= line.length;
      }
    });
    chain = written;
    return written;
  }

  function endFollowers(): void {
    for (const follower of followers) follower.end();
    followers.clear();
  }

  return {
    append(line) {
      if (line.version <= forgottenVersion) return;
      highestVersion = Math.max(highestVersion, line.version);
      const cap = line.source === 'platform' ? caps.platform : caps.instance;
      if (unwrittenLength > MAX_UNWRITTEN_LENGTH || !cap.admits(line.text.length, clock.monotonic())) {
        drop(line);
        return;
      }
      const surplus = line.text.length - limits.maxLineLength;
      keep(surplus > 0 ? { ...line, text: clip(line.text, limits.maxLineLength) } : line);
    },
    get isDirty() {
      return pending.length > 0 || dropped !== undefined;
    },
    async flush() {
      if (dropped && clock.monotonic() - dropped.sinceMs >= DROP_NOTICE_MS) announceDrops();
      await write();
    },
    cut(follow) {
      announceDrops();
      const position = write().then(() => segments.position());
      const follower = createLogFollower(MAX_FOLLOWER_LINES);
      if (follow) followers.add(follower);
      // Nothing may be written between the cut and the reading of its position.
      chain = position.catch(() => {});
      return {
        follower,
        history: async (count, filter) => segments.readNewest(await position, count, filter),
      };
    },
    leave(follower) {
      followers.delete(follower);
    },
    async forget() {
      endFollowers();
      for (const line of pending) unwrittenLength -= line.length;
      pending = [];
      dropped = undefined;
      forgottenVersion = highestVersion;
      const removed = chain.then(async () => {
        // After a restart the versions before it are known from disk only.
        const [newest] = await segments.readNewest(await segments.position(), 1, () => true);
        forgottenVersion = Math.max(forgottenVersion, newest?.version ?? -1);
        await segments.remove();
      });
      chain = removed.catch(() => {});
      await removed;
    },
    async close() {
      announceDrops();
      endFollowers();
      await write();
    },
  };
}

function clip(text: string, length: number): string {
  return `${text.slice(0, length)}... (${text.length - length} more characters)`;
}
