import { type FileHandle, link, mkdir, open, rename, rm } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { TaskResult } from './job-record.ts';

/** Results up to this size are kept in the store, with their task. */
const INLINE_BYTES = 1024;
/** So much is gathered before it is written to a file. */
const BUFFER_BYTES = 65_536;

/** Gathers what one attempt of a task wrote. */
export interface ResultCollector {
  /** Takes a piece; a promise means that the sender should wait for the disk. */
  write(chunk: Uint8Array): void | Promise<void>;
  /** What was gathered, on disk when it resolves. Throws what the file system says. */
  finish(contentType?: string): Promise<TaskResult | undefined>;
  /** Forgets it. Never throws. */
  discard(): Promise<void>;
}

/** Results of tasks: small ones stay with their task, larger ones are files. */
export interface ResultFiles {
  collect(id: string, index: number, attempt: number): ResultCollector;
  /** The bytes of a result. Throws what the file system says. */
  open(id: string, index: number, result: TaskResult): Readable;
  /** Makes a result that is a file belong to another job as well. */
  share(from: string, to: string, index: number, result: TaskResult): Promise<void>;
  remove(id: string): Promise<void>;
}

/** Makes the keeper of results below `directory`; of each at most `maxBytes` are kept. */
export function createResultFiles(directory: string, maxBytes: number): ResultFiles {
  const fileOf = (id: string, index: number) => join(directory, id, `${index}.out`);
  return {
    collect: (id, index, attempt) => createCollector(fileOf(id, index), attempt, maxBytes),
    open: (id, index, { bytes }) =>
      bytes === undefined ? createReadStream(fileOf(id, index)) : Readable.from([Buffer.from(bytes, 'base64')]),
    async share(from, to, index, { bytes }) {
      if (bytes !== undefined) return;
      await mkdir(join(directory, to), { recursive: true });
      await link(fileOf(from, index), fileOf(to, index)).catch((error: unknown) => {
        // Shared before, by a server that did not get further.
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      });
    },
    remove: (id) => rm(join(directory, id), { recursive: true, force: true }),
  };
}

function createCollector(path: string, attempt: number, maxBytes: number): ResultCollector {
  const partial = `${path}.${attempt}`;
  let pieces: Uint8Array[] = [];
  let gathered = 0;
  let total = 0;
  let file: FileHandle | undefined;

  async function flush(): Promise<void> {
    const batch = pieces;
    pieces = [];
    gathered = 0;
    if (!file) {
      await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
      file = await open(partial, 'w', 0o600);
    }
    await file.writeFile(Buffer.concat(batch));
  }

  return {
    write(chunk) {
      const room = Math.max(maxBytes - total, 0);
      total += chunk.length;
      if (room === 0) return undefined;
      const kept = chunk.length > room ? chunk.subarray(0, room) : chunk;
      pieces.push(kept);
      gathered += kept.length;
      return gathered >= BUFFER_BYTES ? flush() : undefined;
    },
    async finish(contentType) {
      const described = {
        sizeBytes: Math.min(total, maxBytes),
        ...(total > maxBytes ? { truncated: true as const } : {}),
        ...(contentType === undefined ? {} : { contentType }),
      };
      if (!file && gathered <= INLINE_BYTES) return { ...described, bytes: Buffer.concat(pieces).toString('base64') };
      await flush();
      await file?.datasync();
      await file?.close();
      await rename(partial, path);
      return described;
    },
    async discard() {
      await file?.close().catch(() => {});
      await rm(partial, { force: true }).catch(() => {});
    },
  };
}
