import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { access, type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { formatBytes } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import { newShortId } from '../core/ids.ts';
import type { Payload } from '../store/queue.ts';

/** Bodies up to this size are kept in the record itself. */
export const MAX_INLINE_BYTES = 65_536;
/** Files that no record refers to are kept this long: their record may still come. */
const UNUSED_MS = 3_600_000;
/** Files asked about at once. */
const SWEEP_BATCH = 500;

const FILE_NAME = /^[0-9a-f]{64}$/;
const PREFIX = 'sha256:';
const TEMPORARY = 'incoming-';

/** Takes a body piece by piece. Disposing one that was not finished leaves nothing behind. */
export interface PayloadWriter extends AsyncDisposable {
  /** Bytes taken so far. */
  readonly sizeBytes: number;
  /**
   * Takes a piece, which is the writer's from then on. Throws or rejects with PAYLOAD_TOO_LARGE, STORAGE_FULL or
   * STORE_FAILED; then there is nothing to finish. Pieces may be given before the promise of the last one resolves.
   */
  write(chunk: Uint8Array): void | Promise<void>;
  /** The body, which is on disk if it is a file. Rejects as {@link write} does. */
  finish(): Promise<Payload>;
}

/** Bodies too large for a record, in files named by their content. */
export interface PayloadFiles {
  /** Largest body. */
  readonly maxBytes: number;
  writer(): PayloadWriter;
  /** Keeps a whole body: on disk when it resolves, if it is a file. Rejects as the writer does, or with what the source throws. */
  keep(chunks: AsyncIterable<Uint8Array> | Uint8Array): Promise<Payload>;
  /** Reads a file. The stream fails when the file is not there. */
  open(digest: string): Readable;
  /** Makes sure that a file stays for another hour though no record refers to it; false when it is gone. */
  renew(digest: string): Promise<boolean>;
  /** Removes files older than an hour that `inUse` does not name. Returns how many. */
  sweep(inUse: (digests: readonly string[]) => Promise<ReadonlySet<string>>): Promise<number>;
}

/** What the files are kept with. */
export interface PayloadFilesOptions {
  readonly directory: string;
  readonly maxBytes: number;
  /** How old a file that no record refers to becomes. Default: an hour. */
  readonly unusedMs?: number | undefined;
  /** Whether another server may be writing here, whose unfinished files must stay. Default: false. */
  readonly isShared?: boolean | undefined;
}

/** Opens the directory, making it if need be, and removes what was never finished. Throws STORE_FAILED. */
export function createPayloadFiles(options: PayloadFilesOptions): PayloadFiles {
  const { directory, maxBytes, unusedMs = UNUSED_MS, isShared = false } = options;
  /** Digests whose file is about to be written or used; they are not swept. */
  const pinned = new Map<string, number>();
  const pathOf = (digest: string) => join(directory, digest.slice(PREFIX.length));
  try {
    if (!existsSync(directory)) mkdirSync(directory, { mode: 0o700 });
    sweepTemporary(directory, isShared ? unusedMs : 0);
  } catch (cause) {
    throw writeFailure(directory, cause);
  }

  const pin = (digest: string): Disposable => {
    pinned.set(digest, (pinned.get(digest) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (pinned.get(digest) ?? 1) - 1;
        if (left === 0) pinned.delete(digest);
        else pinned.set(digest, left);
      },
    };
  };

  /** Gives a finished file its name; the one that may be there has the same content, and is as new from then on. */
  const publish = async (temporary: string, digest: string): Promise<void> => {
    using _pinned = pin(digest);
    await rename(temporary, pathOf(digest));
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  };

  const writer = (): PayloadWriter => createWriter({ directory, maxBytes, publish });
  return {
    maxBytes,
    writer,
    async keep(chunks) {
      if (chunks instanceof Uint8Array && chunks.length <= Math.min(MAX_INLINE_BYTES, maxBytes)) return inline(chunks);
      await using body = writer();
      if (chunks instanceof Uint8Array) await body.write(chunks);
      else for await (const chunk of chunks) await body.write(chunk);
      return await body.finish();
    },
    open: (digest) => createReadStream(pathOf(digest)),
    async renew(digest) {
      using _pinned = pin(digest);
      try {
        const handle = await open(pathOf(digest), 'r+');
        try {
          const now = new Date();
          await handle.utimes(now, now);
        } finally {
          await handle.close();
        }
        return true;
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return false;
        // It cannot be touched, on a disk that takes no writes for instance, but it can be read.
        return access(pathOf(digest)).then(
          () => true,
          () => false,
        );
      }
    },
    async sweep(inUse) {
      const before = Date.now() - unusedMs;
      sweepTemporary(directory, unusedMs);
      const old = readdirSync(directory).filter(
        (name) => FILE_NAME.test(name) && isOlder(join(directory, name), before),
      );
      let removed = 0;
      for (let from = 0; from < old.length; from += SWEEP_BATCH) {
        const digests = old.slice(from, from + SWEEP_BATCH).map((name) => PREFIX + name);
        const used = await inUse(digests);
        for (const digest of digests) {
          // Nothing is awaited between the last look and the removal, so nobody can begin to rely on the file.
          if (used.has(digest) || pinned.has(digest) || !isOlder(pathOf(digest), before)) continue;
          unlinkSync(pathOf(digest));
          removed += 1;
        }
      }
      return removed;
    },
  };
}

interface WriterOptions {
  readonly directory: string;
  readonly maxBytes: number;
  readonly publish: (temporary: string, digest: string) => Promise<void>;
}

interface Spill {
  readonly handle: FileHandle;
  readonly path: string;
  readonly hash: Hash;
}

function createWriter({ directory, maxBytes, publish }: WriterOptions): PayloadWriter {
  let sizeBytes = 0;
  let held: Uint8Array[] = [];
  let spill: Spill | undefined;
  let tail: Promise<void> = Promise.resolve();
  let heldBytes = 0;
  let isSpilling = false;
  let isOver = false;

  const begin = async (): Promise<Spill> => {
    const path = join(directory, `${TEMPORARY}${process.pid}-${newShortId()}`);
    return { handle: await open(path, 'wx', 0o600), path, hash: createHash('sha256') };
  };
  const append = async (chunks: readonly Uint8Array[]): Promise<void> => {
    try {
      spill ??= await begin();
      const [only] = chunks;
      const bytes = chunks.length === 1 && only ? only : Buffer.concat(chunks);
      spill.hash.update(bytes);
      await spill.handle.writeFile(bytes);
    } catch (cause) {
      throw writeFailure(directory, cause);
    }
  };
  /** Pieces are written together, however small they come. */
  const flush = (): Promise<void> => {
    isSpilling = true;
    const chunks = held;
    held = [];
    heldBytes = 0;
    tail = tail.then(() => append(chunks));
    // Whoever writes on without waiting learns of it with the next piece or at the end.
    tail.catch(() => {});
    return tail;
  };
  const discard = async (): Promise<void> => {
    await tail.catch(() => {});
    const given = spill;
    spill = undefined;
    held = [];
    await given?.handle.close().catch(() => {});
    if (given) await rm(given.path, { force: true }).catch(() => {});
  };
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    write(chunk) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
      held.push(chunk);
      heldBytes += chunk.length;
      return heldBytes > MAX_INLINE_BYTES ? flush() : undefined;
    },
    async finish() {
      if (isSpilling) await flush();
      if (!spill) {
        isOver = true;
        const [only] = held;
        return inline(held.length === 1 && only ? only : Buffer.concat(held));
      }
      const { handle, path, hash } = spill;
      try {
        await handle.sync();
        await handle.close();
        const digest = PREFIX + hash.digest('hex');
        await publish(path, digest);
        isOver = true;
        return { kind: 'file', digest, sizeBytes };
      } catch (cause) {
        throw writeFailure(directory, cause);
      }
    },
    async [Symbol.asyncDispose]() {
      if (isOver) return;
      isOver = true;
      await discard();
    },
  };
}

/** What a body that is larger than `maxBytes` is answered with. */
export function tooLarge(maxBytes: number): EbbError {
  return new EbbError(
    'PAYLOAD_TOO_LARGE',
    `the body is larger than ${formatBytes(maxBytes)}, the most an asynchronous call takes (asyncMaxPayload)`,
  );
}

function inline(bytes: Uint8Array): Payload {
  return bytes.length === 0 ? { kind: 'none' } : { kind: 'bytes', bytes };
}

function sweepTemporary(directory: string, olderThanMs: number): void {
  const before = Date.now() - olderThanMs;
  for (const name of readdirSync(directory)) {
    if (name.startsWith(TEMPORARY) && (olderThanMs === 0 || isOlder(join(directory, name), before)))
      rmSync(join(directory, name), { force: true });
  }
}

function isOlder(path: string, before: number): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY) < before;
}

function writeFailure(directory: string, cause: unknown): EbbError {
  if (cause instanceof EbbError) return cause;
  const code = codeOf(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new EbbError(
      'STORAGE_FULL',
      `there is no space left in ${directory}; nothing was accepted: free some space and send it again`,
      { cause },
    );
  return new EbbError('STORE_FAILED', `${directory} cannot be written (${messageOf(cause)}); check its disk`, {
    cause,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
