import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newShortId } from '../../core/ids.ts';

/** Most bytes kept of one version; the runtime does not send more. */
const MAX_BYTES = 8 * 2 ** 20;
const MAX_FILES = 4096;
/** Versions whose compiled code is kept; the ones used longest ago go first. */
const MAX_VERSIONS = 100;
/** A sender that takes longer than this is given up. */
const RECEIVE_MS = 10_000;

/** Name that Node gives a cache: version, architecture, flags and, at its end, the user. */
const CACHE_NAME = /^(v[\w.-]{1,60}-[\da-f]{1,16})-\d{1,10}$/;
const FILE_LINE = /^([\da-f]{1,16}) (\d{1,8})$/;

/** Compiled code of one version. */
export interface Compiled {
  /** Directory with the files. */
  readonly directory: string;
  /** What Node calls the cache, without the user at the end. */
  readonly name: string;
}

/**
 * Compiled code by version, made by the version's first instance and never changed. What an instance sends is only
 * given to instances of the same version with the same code, whose code it could have changed anyway; names are
 * checked, and sizes bounded.
 */
export interface CompiledStore {
  /** The compiled code under a key, if there is some. Never throws. */
  find(key: string): Promise<Compiled | undefined>;
  /** Takes the right to send compiled code for a key; false when somebody has it, or there is some already. */
  claim(key: string): boolean;
  /** Keeps what an instance that has the right sends, and ends the answer. Never throws. */
  receive(key: string, answer: IncomingMessage): Promise<void>;
}

/** The key of a version's compiled code: whatever changes what the code is or how it is compiled makes another. */
export function compiledKey(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

/** Makes the store in a directory of its own. */
export function createCompiledStore(directory: string): CompiledStore {
  const known = new Map<string, Compiled>();
  const claimed = new Set<string>();

  return {
    async find(key) {
      const found = known.get(key);
      if (found) return found;
      const [name] = await readdir(join(directory, key)).catch(() => []);
      if (name === undefined) return undefined;
      const compiled = { directory: join(directory, key, name), name };
      known.set(key, compiled);
      const now = new Date();
      await utimes(join(directory, key), now, now).catch(() => {});
      return compiled;
    },
    claim(key) {
      if (known.has(key) || claimed.has(key)) return false;
      claimed.add(key);
      return true;
    },
    async receive(key, answer) {
      const timer = setTimeout(() => answer.destroy(), RECEIVE_MS);
      const pending = join(directory, `.${newShortId()}`);
      try {
        const { name, files } = parse(await readBounded(answer));
        await mkdir(join(pending, name), { recursive: true, mode: 0o755 });
        for (const [file, data] of files) await writeFile(join(pending, name, file), data, { mode: 0o644 });
        await rename(pending, join(directory, key));
        await removeOldest(directory);
      } catch {
        // Starts are slower without, nothing more; the next server tries again.
        await rm(pending, { recursive: true, force: true }).catch(() => {});
      } finally {
        clearTimeout(timer);
        answer.destroy();
      }
    },
  };
}

async function readBounded(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES * 1.1) throw new Error('it is too much');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(sent: Buffer): { readonly name: string; readonly files: ReadonlyMap<string, Buffer> } {
  let offset = 0;
  const line = (): string => {
    const end = sent.indexOf('\n', offset);
    if (end === -1) throw new Error('a line has no end');
    const text = sent.toString('latin1', offset, end);
    offset = end + 1;
    return text;
  };
  const [, name] = CACHE_NAME.exec(line()) ?? [];
  if (name === undefined) throw new Error('it is no cache of Node');
  const files = new Map<string, Buffer>();
  while (offset < sent.length) {
    const [, file, size] = FILE_LINE.exec(line()) ?? [];
    const end = offset + Number(size);
    if (file === undefined || end > sent.length || files.size >= MAX_FILES) throw new Error('it is malformed');
    files.set(file, sent.subarray(offset, end));
    offset = end;
  }
  if (files.size === 0) throw new Error('it is empty');
  return { name, files };
}

async function removeOldest(parent: string): Promise<void> {
  const names = await readdir(parent);
  if (names.length <= MAX_VERSIONS) return;
  const aged = await Promise.all(
    names.map(async (name) => ({ path: join(parent, name), usedAt: (await stat(join(parent, name))).mtimeMs })),
  );
  const oldest = aged.sort((a, b) => a.usedAt - b.usedAt).slice(0, names.length - MAX_VERSIONS);
  await Promise.all(oldest.map(({ path }) => rm(path, { recursive: true, force: true })));
}
