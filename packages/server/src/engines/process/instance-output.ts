import {
  appendFileSync,
  closeSync,
  type FSWatcher,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createLogBuffer, type LogBuffer } from '../log-buffer.ts';
import { createLineSplitter, type LineSplitter, parseInstanceLine } from '../log-line.ts';

/** Bytes of a stream taken at once, and the pauses between: 3 MB a second and stream at most (fault case 45). */
const CHUNK_BYTES = 32_768;
const FIRST_PAUSE_MS = 4;
const NEXT_PAUSE_MS = 10;
/** A stream that is further behind loses what lies between. */
const MAX_BEHIND_BYTES = 2 ** 20;
/** Files that grew over this are emptied once they are read. */
const MAX_FILE_BYTES = 4 * 2 ** 20;
/** How often the files are looked at where they cannot be watched. */
const POLL_MS = 100;

/** The output of one instance, read from the files its process writes to. */
export interface InstanceOutput {
  readonly read: LogBuffer['read'];
  /** Takes what is still in the files and ends all readers. */
  end(): void;
}

interface Stream {
  readonly source: 'stdout' | 'stderr';
  readonly file: number;
  readonly lines: LineSplitter;
  offset: number;
}

/** Opens the files that an instance's process is to write its output to. */
export function openOutputFiles(logDir: string): { readonly stdout: number; readonly stderr: number } {
  // Appending, so that the process goes on at the new end after the files were emptied.
  const stdout = openSync(join(logDir, 'stdout'), 'a', 0o600);
  return { stdout, stderr: openSync(join(logDir, 'stderr'), 'a', 0o600) };
}

/**
 * Follows the output files in `logDir`. Files survive a server that is killed, pipes do not; and because files hold
 * no times, `seenFile` remembers up to where the output was read when. What was written while nobody looked counts
 * as written now.
 */
export function followOutput(logDir: string, seenFile: string, onText: (text: string) => void): InstanceOutput {
  const log = createLogBuffer();
  let at = '';
  let timer: NodeJS.Timeout | undefined;
  let isEnded = false;

  const streams: readonly Stream[] = (['stdout', 'stderr'] as const).map((source) => ({
    source,
    file: openSync(join(logDir, source), 'a+', 0o600),
    offset: 0,
    lines: createLineSplitter((text) => {
      log.append({ at, source, ...parseInstanceLine(text) });
      onText(text);
    }),
  }));
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const readStream = (stream: Stream, maxBytes: number): number => {
    const bytes = readSync(stream.file, chunk, 0, Math.min(maxBytes, CHUNK_BYTES), stream.offset);
    stream.offset += bytes;
    if (bytes > 0) stream.lines.push(chunk.subarray(0, bytes));
    return bytes;
  };
  const remember = (write: (path: string, text: string) => void) => {
    write(seenFile, `${JSON.stringify([at, ...streams.map(({ offset }) => offset)])}\n`);
  };

  /** Takes one chunk of every stream; says whether there is more. */
  const take = (): boolean => {
    at = new Date().toISOString();
    let taken = 0;
    let isBehind = false;
    for (const stream of streams) {
      const sizeBytes = fstatSync(stream.file).size;
      // Somebody emptied the file.
      if (sizeBytes < stream.offset) stream.offset = 0;
      const skippedBytes = sizeBytes - stream.offset - MAX_BEHIND_BYTES;
      if (skippedBytes > 0) {
        stream.offset += skippedBytes;
        const text = `${skippedBytes} bytes of ${stream.source} were dropped: they came too fast`;
        log.append({ at, source: 'platform', text });
      }
      taken += readStream(stream, CHUNK_BYTES);
      isBehind ||= stream.offset < sizeBytes;
    }
    if (taken > 0) remember(appendFileSync);
    if (!isBehind && streams.some(({ offset }) => offset > MAX_FILE_BYTES)) {
      for (const stream of streams) {
        ftruncateSync(stream.file);
        stream.offset = 0;
      }
      remember(writeFileSync);
    }
    return isBehind;
  };
  const takeSoon = (pauseMs: number) => {
    if (isEnded) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      if (take()) takeSoon(NEXT_PAUSE_MS);
    }, pauseMs).unref();
  };

  for (const [moment, ...offsets] of readSeen(seenFile)) {
    at = moment;
    for (const [index, stream] of streams.entries()) {
      while (stream.offset < (offsets[index] ?? 0)) {
        if (readStream(stream, (offsets[index] ?? 0) - stream.offset) === 0) break;
      }
    }
  }
  const watching = watchOrPoll(logDir, () => takeSoon(FIRST_PAUSE_MS));
  take();
  takeSoon(FIRST_PAUSE_MS);

  return {
    read: (options) => log.read(options),
    end() {
      if (isEnded) return;
      isEnded = true;
      clearTimeout(timer);
      watching.close();
      while (take());
      for (const stream of streams) {
        stream.lines.end();
        closeSync(stream.file);
      }
      log.end();
    },
  };
}

function readSeen(path: string): readonly (readonly [string, number, number])[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    // The server may have been killed in the middle of the last line.
    return lines.slice(0, -1).map((line) => JSON.parse(line) as [string, number, number]);
  } catch {
    return [];
  }
}

function watchOrPoll(directory: string, onChange: () => void): Pick<FSWatcher, 'close'> {
  try {
    const watcher = watch(directory, { persistent: false }, onChange);
    watcher.on('error', onChange);
    return watcher;
  } catch {
    // The host's inotify limit is reached.
    const timer = setInterval(onChange, POLL_MS).unref();
    return { close: () => clearInterval(timer) };
  }
}
