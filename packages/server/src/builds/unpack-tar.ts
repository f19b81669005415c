import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Extract } from 'tar-stream';
import { refuseEntry } from './archive-error.ts';
import type { TreeWriter } from './tree-writer.ts';

/** One entry of a tar file: its header, and its content as a stream. */
type Entry = Extract extends AsyncIterable<infer T> ? T : never;

const OWNER_EXECUTE = 0o100;
const CHUNK_BYTES = 256 * 1024;

const REFUSED_KINDS: Readonly<Record<string, string>> = {
  link: 'is a hard link; only files and folders are taken',
  symlink: 'is a symbolic link; only files and folders are taken, so leave it out or put a copy of the file there',
  'character-device': 'is a device; only files and folders are taken',
  'block-device': 'is a device; only files and folders are taken',
  fifo: 'is a named pipe; only files and folders are taken',
};

/** Unpacks a tar file, gzip'ed or not, into the writer. Throws what the writer throws, and errors of damaged data. */
export async function unpackTar(path: string, writer: TreeWriter): Promise<void> {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const counted = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      writer.countUnpacked(chunk.byteLength);
      yield chunk;
    }
  };
  const tar = extract();
  const fed = (await isGzip(path))
    ? pipeline(file, createGunzip({ chunkSize: CHUNK_BYTES }), counted, tar)
    : pipeline(file, counted, tar);
  // When it fails, it destroys `tar`, and the iteration fails with the same error.
  fed.catch(() => {});
  for await (const entry of tar) await take(entry, writer);
  await fed;
}

async function take(entry: Entry, writer: TreeWriter): Promise<void> {
  const { name, type, mode } = entry.header;
  if (type === 'directory') {
    writer.folder(name);
    entry.resume();
  } else if (type === 'file') {
    const file = writer.file(name, (mode & OWNER_EXECUTE) !== 0);
    for await (const chunk of entry) file.write(chunk as Buffer);
    file.end();
  } else {
    refuseEntry(name, REFUSED_KINDS[type] ?? 'is of an unknown kind; only files and folders are taken');
  }
}

/** By the first two bytes: RFC 1952, section 2.3.1. */
async function isGzip(path: string): Promise<boolean> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
  return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
}
