import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { CliError } from '../core/cli-error.ts';
import type { CodeFile } from './list-files.ts';

/** Files up to this size are read in one go. */
const WHOLE_FILE_BYTES = 2 ** 20;

const EPOCH = new Date(0);

/**
 * A tar of the files, made as fast as it is read; `onBytes` hears how many bytes of files went in. Who owns the files
 * and when they were changed is left out. Ends with FILE_FAILED when a file changed or vanished meanwhile.
 */
export async function* packFiles(
  files: readonly CodeFile[],
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const archive = pack();
  const writing = writeAll(archive, files, onBytes).catch((error: unknown) => {
    archive.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  try {
    for await (const chunk of archive) yield chunk as Uint8Array;
  } finally {
    archive.destroy();
    await writing;
  }
}

async function writeAll(archive: Pack, files: readonly CodeFile[], onBytes: (bytes: number) => void): Promise<void> {
  for (const file of files) {
    try {
      await writeOne(archive, file);
    } catch (error) {
      throw new CliError('FILE_FAILED', `${file.source} changed or could not be read while it was packed; try again`, {
        cause: error,
      });
    }
    onBytes(file.sizeBytes);
  }
  archive.finalize();
}

async function writeOne(archive: Pack, file: CodeFile): Promise<void> {
  const header = { name: file.path, mode: file.isExecutable ? 0o755 : 0o644, mtime: EPOCH };
  if (file.sizeBytes > WHOLE_FILE_BYTES) {
    await pipeline(createReadStream(file.source), archive.entry({ ...header, size: file.sizeBytes }));
    return;
  }
  const content = await readFile(file.source);
  await new Promise<void>((resolve, reject) => {
    const entry = archive.entry({ ...header, size: content.length }, (error) => {
      if (error) reject(error);
      else resolve();
    });
    entry.end(content);
  });
}
