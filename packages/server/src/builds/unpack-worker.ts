/** The thread that unpacks one archive: thousands of small writes that must not hold up a request. */
import { parentPort, workerData } from 'node:worker_threads';
import { ArchiveError } from './archive-error.ts';
import { createTreeWriter } from './tree-writer.ts';
import type { UnpackReply, UnpackTask } from './unpack-protocol.ts';

parentPort?.postMessage(await unpack(workerData as UnpackTask));

async function unpack({ archive, archiveBytes, format, root, limits }: UnpackTask): Promise<UnpackReply> {
  try {
    const writer = createTreeWriter(root, archiveBytes, limits);
    // Loaded as needed: the thread is made for one archive, and starting it is most of the time of a small one.
    if (format === 'tar') await (await import('./unpack-tar.ts')).unpackTar(archive, writer);
    else await (await import('./unpack-zip.ts')).unpackZip(archive, writer, limits);
    return { kind: 'done', tree: writer.finish() };
  } catch (error) {
    return describe(error, format);
  }
}

function describe(error: unknown, format: 'tar' | 'zip'): UnpackReply {
  const cause = error instanceof Error ? error.message : String(error);
  if (error instanceof ArchiveError) {
    return { kind: 'failed', code: error.code, message: error.message, cause };
  }
  if (error instanceof Error && 'syscall' in error) {
    return { kind: 'failed', code: 'STORE_FAILED', message: `the archive could not be unpacked: ${cause}`, cause };
  }
  return {
    kind: 'failed',
    code: 'CODE_INVALID',
    message: `the archive is not a sound ${format} file: ${cause}`,
    cause,
  };
}
