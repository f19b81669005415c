import { appendFile, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogLine } from '@ebb/contract';
import type { LogFilter } from './log-filter.ts';

/** How much of the disk one log may take. */
export interface LogSegmentLimits {
  readonly maxBytes: number;
  /** Size at which a file is closed and the next begun. */
  readonly segmentBytes: number;
}

/** One file of a log, as far as it was written at some moment. */
export interface LogSegment {
  readonly sequence: number;
  readonly bytes: number;
}

/** The files of one function's log. Writes must be made one after the other; reads may go on beside them. */
export interface LogSegments {
  /** Adds encoded lines (without line ends) and removes the oldest files beyond the cap. */
  append(lines: readonly string[]): Promise<void>;
  /** What is on disk now, oldest first. */
  position(): Promise<readonly LogSegment[]>;
  /** The newest `count` lines up to `position` that pass the filter, oldest first. */
  readNewest(position: readonly LogSegment[], count: number, filter: LogFilter): Promise<readonly LogLine[]>;
  /** Removes every file. */
  remove(): Promise<void>;
}

const SEGMENT_NAME = /^(\d{8})\.ndjson$/;
const NEW_LINE = 0x0a;

/** Opens the log in `directory`, which need not exist yet; nothing is read before the first use. */
export function createLogSegments(directory: string, limits: LogSegmentLimits): LogSegments {
  let known: LogSegment[] | undefined;

  const pathOf = (sequence: number) => join(directory, `${String(sequence).padStart(8, '0')}.ndjson`);

  async function load(): Promise<LogSegment[]> {
    if (known) return known;
    const names = await readdir(directory).catch(ifMissing<string[]>([]));
    const found: LogSegment[] = [];
    for (const name of names.toSorted()) {
      const match = SEGMENT_NAME.exec(name);
      if (match) found.push({ sequence: Number(match[1]), bytes: (await stat(join(directory, name))).size });
    }
    const last = found.at(-1);
    // A line cut by a crash must not swallow the next one, so writing goes on in a new file.
    if (last && last.bytes > 0 && !(await endsLine(pathOf(last.sequence), last.bytes))) {
      found.push({ sequence: last.sequence + 1, bytes: 0 });
    }
    known = found;
    return found;
  }

  async function write(chunk: string, bytes: number): Promise<void> {
    const segments = await load();
    let last = segments.at(-1);
    if (!last || (last.bytes > 0 && last.bytes + bytes > limits.segmentBytes)) {
      last = { sequence: (last?.sequence ?? 0) + 1, bytes: 0 };
      segments.push(last);
    }
    try {
      await appendFile(pathOf(last.sequence), chunk, { mode: 0o600 });
    } catch (error) {
      // Part of the chunk may be there: look again before the next write.
      known = undefined;
      throw error;
    }
    segments[segments.length - 1] = { sequence: last.sequence, bytes: last.bytes + bytes };
    let total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    while (total > limits.maxBytes && segments.length > 1) {
      const oldest = segments.shift();
      if (!oldest) break;
      total -= oldest.bytes;
      await rm(pathOf(oldest.sequence), { force: true });
    }
  }

  return {
    async append(lines) {
      if (lines.length === 0) return;
      await mkdir(directory, { recursive: true, mode: 0o700 });
      let chunk: string[] = [];
      let bytes = 0;
      for (const line of lines) {
        const size = Buffer.byteLength(line) + 1;
        if (bytes > 0 && bytes + size > limits.segmentBytes) {
          await write(chunk.join(''), bytes);
          chunk = [];
          bytes = 0;
        }
        chunk.push(line, '\n');
        bytes += size;
      }
      await write(chunk.join(''), bytes);
    },
    async position() {
      return [...(await load())];
    },
    async readNewest(position, count, filter) {
      const newestFirst: LogLine[] = [];
      for (const segment of position.toReversed()) {
        if (newestFirst.length >= count) break;
        const content = await readFile(pathOf(segment.sequence)).catch(ifMissing(Buffer.alloc(0)));
        const lines = content.subarray(0, segment.bytes).toString('utf8').split('\n');
        for (let index = lines.length - 1; index >= 0 && newestFirst.length < count; index -= 1) {
          const line = parseLine(lines[index] ?? '');
          if (line && filter(line)) newestFirst.push(line);
        }
      }
      return newestFirst.reverse();
    },
    async remove() {
      known = undefined;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A stored line, or undefined for one that a crash cut. Only this module writes the files, so shape is trusted. */
function parseLine(text: string): LogLine | undefined {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined;
  }
}

async function endsLine(path: string, bytes: number): Promise<boolean> {
  await using file = await open(path, 'r');
  const { buffer } = await file.read({ buffer: Buffer.alloc(1), position: bytes - 1 });
  return buffer[0] === NEW_LINE;
}

function ifMissing<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return instead;
    throw error;
  };
}
