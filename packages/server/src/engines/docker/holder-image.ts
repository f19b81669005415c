import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pack } from 'tar-stream';
import { ask } from './dial.ts';
import { type DockerClient, statusOf } from './docker-client.ts';
import { readProgress } from './read-progress.ts';

const REPOSITORY = 'ebb/network-holder';
/** Path of the program in the image. */
export const HOLDER_PROGRAM = '/hold';

/** Machine code that sleeps for ever: `again: mov eax, 34 (pause); syscall; jmp again`. */
const CODE_X86_64 = [0xb8, 0x22, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xeb, 0xf7];

/**
 * Makes sure the image of the program that keeps a network namespace alive is there, and returns its name; undefined
 * for a daemon whose processor it was not written for. It is one file of 129 bytes that takes 4 KiB of memory: whatever
 * else is at hand takes a thousand times as much. Throws ENGINE_ errors.
 */
export async function ensureHolderImage(client: DockerClient, architecture: string): Promise<string | undefined> {
  if (architecture !== 'x86_64') return undefined;
  const program = sleeper();
  const tag = createHash('sha256').update(program).digest('hex').slice(0, 16);
  const name = `${REPOSITORY}:${tag}`;
  try {
    await client.call('look for the image of network holders', client.deadlines.queryMs, (abortSignal) =>
      ask(client.docker, `/images/${name}/json`, abortSignal),
    );
    return name;
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
  await client.call('import the image of network holders', client.deadlines.changeMs, async (abortSignal) => {
    const archive = pack();
    archive.entry({ name: HOLDER_PROGRAM.slice(1), mode: 0o755, mtime: new Date(0) }, program);
    archive.finalize();
    const source = Readable.from(archive);
    await readProgress(await client.docker.importImage(source, { repo: REPOSITORY, tag, abortSignal }));
  });
  return name;
}

/** An ELF file with one segment, which holds the file itself (elf(5)). */
function sleeper(): Buffer {
  const [headerBytes, segmentBytes, loadedAt] = [64, 56, 0x400000n];
  const codeAt = headerBytes + segmentBytes;
  const file = Buffer.alloc(codeAt + CODE_X86_64.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(2, 16); // an executable
  file.writeUInt16LE(62, 18); // for x86-64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(loadedAt + BigInt(codeAt), 24);
  file.writeBigUInt64LE(BigInt(headerBytes), 32);
  file.writeUInt16LE(headerBytes, 52);
  file.writeUInt16LE(segmentBytes, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt16LE(64, 58);
  file.writeUInt32LE(1, 64); // to be loaded
  file.writeUInt32LE(5, 68); // read and execute
  file.writeBigUInt64LE(loadedAt, 80);
  file.writeBigUInt64LE(loadedAt, 88);
  file.writeBigUInt64LE(BigInt(file.length), 96);
  file.writeBigUInt64LE(BigInt(file.length), 104);
  file.writeBigUInt64LE(0x1000n, 112);
  file.set(CODE_X86_64, codeAt);
  return file;
}
