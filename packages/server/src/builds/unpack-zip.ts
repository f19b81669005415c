import { crc32 } from 'node:zlib';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { ArchiveError, refuseEntry } from './archive-error.ts';
import type { CodeLimits } from './code-limits.ts';
import type { TreeWriter } from './tree-writer.ts';

const KIND = 0o170000;
const KIND_FILE = 0o100000;
const KIND_FOLDER = 0o040000;
const KIND_LINK = 0o120000;
const OWNER_EXECUTE = 0o100;

/** Unpacks a zip file into the writer. Throws what the writer throws, and errors of damaged data. */
export async function unpackZip(path: string, writer: TreeWriter, limits: CodeLimits): Promise<void> {
  const zip = await openPromise(path, { lazyEntries: true, strictFileNames: true, validateEntrySizes: true });
  try {
    if (zip.entryCount > limits.entries) {
      throw new ArchiveError(
        'CODE_TOO_LARGE',
        `the archive holds more than the ${limits.entries} files and folders allowed`,
      );
    }
    for await (const entry of zip.eachEntry()) await take(zip, entry, writer);
  } finally {
    zip.close();
  }
}

async function take(zip: ZipFile, entry: Entry, writer: TreeWriter): Promise<void> {
  const name = entry.fileName;
  // Unix tools put the mode into the upper half; others leave it 0.
  const mode = entry.externalFileAttributes >>> 16;
  const kind = mode & KIND;
  const isFolder = name.endsWith('/');
  if (kind === KIND_LINK) {
    refuseEntry(
      name,
      'is a symbolic link; only files and folders are taken, so leave it out or put a copy of the file there',
    );
  }
  if (kind !== 0 && kind !== (isFolder ? KIND_FOLDER : KIND_FILE)) refuseEntry(name, 'is neither a file nor a folder');
  if (entry.isEncrypted()) refuseEntry(name, 'is encrypted; send the archive without a password');
  if (!isFolder) await takeFile(zip, entry, writer, (mode & OWNER_EXECUTE) !== 0);
  else if (entry.uncompressedSize === 0) writer.folder(name);
  else refuseEntry(name, 'is a folder with content');
}

async function takeFile(zip: ZipFile, entry: Entry, writer: TreeWriter, executable: boolean): Promise<void> {
  const content = await zip.openReadStreamPromise(entry);
  const file = writer.file(entry.fileName, executable);
  let sum = 0;
  for await (const chunk of content) {
    sum = crc32(chunk as Buffer, sum);
    file.write(chunk as Buffer);
  }
  file.end();
  if (sum !== entry.crc32) refuseEntry(entry.fileName, 'does not match its checksum; the archive is damaged');
}
