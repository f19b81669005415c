import { createHash } from 'node:crypto';
import { chmodSync, closeSync, constants, fchmodSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ArchiveError, refuseEntry } from './archive-error.ts';
import { type CodeLimits, RATIO_FREE_BYTES } from './code-limits.ts';
import type { FileFacts } from '@ebb/contract/content-text';
import { contentDigest } from './content-digest.ts';
import { parseEntryPath } from './entry-path.ts';
import { syncTree } from './sync-tree.ts';
import { createTreeNames } from './tree-names.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;
const EXECUTABLE_MODE = 0o755;
/** Most that a header with its extensions and the padding of one tar entry take. */
const ENTRY_OVERHEAD_BYTES = 4096;

/** A tree that was written. */
export interface WrittenTree {
  /** {@link contentDigest} of the tree. */
  readonly hex: string;
  readonly sizeBytes: number;
  readonly files: number;
}

/** Writes a tree under limits; everything blocks. Throws CODE_INVALID, CODE_TOO_LARGE and errors of the file system. */
export interface TreeWriter {
  folder(name: string): void;
  /** Opens a file; its content follows by `write`, and it ends by `end`. One file is open at a time. */
  file(name: string, executable: boolean): FileWriter;
  /** Counts bytes that came out of decompression, before it is known what they are. Throws CODE_TOO_LARGE. */
  countUnpacked(bytes: number): void;
  /** Brings everything to the disk. Throws CODE_INVALID for a tree without files. */
  finish(): WrittenTree;
}

/** One file being written. */
export interface FileWriter {
  write(chunk: Uint8Array): void;
  end(): void;
}

/** Makes a writer into `root`, an empty folder that nobody else can write to. */
export function createTreeWriter(root: string, archiveBytes: number, limits: CodeLimits): TreeWriter {
  const names = createTreeNames();
  const files: FileFacts[] = [];
  const paths: string[] = [];
  let entries = 0;
  let sizeBytes = 0;
  let unpackedBytes = 0;

  const add = (name: string, kind: 'file' | 'folder'): string => {
    const parsed = parseEntryPath(name);
    if (parsed.kind === 'refused') refuseEntry(name, parsed.reason);
    if (kind === 'file' && (parsed.segments.length === 0 || name.endsWith('/'))) {
      refuseEntry(name, 'is a file without a name');
    }
    const added = names.add(parsed.segments, kind);
    if (added.kind === 'refused') refuseEntry(name, added.reason);
    entries += added.newFolders.length + (kind === 'file' ? 1 : 0);
    if (entries > limits.entries) {
      throw new ArchiveError(
        'CODE_TOO_LARGE',
        `the archive holds more than the ${limits.entries} files and folders allowed`,
      );
    }
    for (const folder of added.newFolders) {
      const path = join(root, folder);
      paths.push(path);
      mkdirSync(path, { mode: FOLDER_MODE });
      // The process may mask the mode out; instances of another user must be able to read.
      chmodSync(path, FOLDER_MODE);
    }
    return parsed.segments.join('/');
  };

  const checkRatio = (bytes: number): void => {
    if (bytes <= RATIO_FREE_BYTES || bytes <= archiveBytes * limits.ratio) return;
    throw new ArchiveError('CODE_TOO_LARGE', `the archive unpacks to more than ${limits.ratio} times its size`);
  };

  const countContent = (bytes: number): void => {
    sizeBytes += bytes;
    if (sizeBytes > limits.unpackedBytes) {
      throw new ArchiveError(
        'CODE_TOO_LARGE',
        `the archive unpacks to more than the ${limits.unpackedBytes} bytes allowed`,
      );
    }
    checkRatio(sizeBytes);
  };

  return {
    folder(name) {
      add(name, 'folder');
    },

    file(name, executable) {
      const path = add(name, 'file');
      const mode = executable ? EXECUTABLE_MODE : FILE_MODE;
      const descriptor = openSync(join(root, path), O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, mode);
      const hash = createHash('sha256');
      paths.push(join(root, path));
      return {
        write(chunk) {
          countContent(chunk.byteLength);
          hash.update(chunk);
          for (let offset = 0; offset < chunk.byteLength;) offset += writeSync(descriptor, chunk, offset);
        },
        end() {
          fchmodSync(descriptor, mode);
          closeSync(descriptor);
          files.push({ path, executable, sha256: hash.digest('hex') });
        },
      };
    },

    countUnpacked(bytes) {
      unpackedBytes += bytes;
      checkRatio(unpackedBytes);
      // Headers and padding of every entry on top of the content; more is a bomb that hides in them.
      const most = limits.unpackedBytes + (limits.entries + 1) * ENTRY_OVERHEAD_BYTES;
      if (unpackedBytes > most) {
        throw new ArchiveError(
          'CODE_TOO_LARGE',
          `the archive unpacks to more than the ${limits.unpackedBytes} bytes allowed`,
        );
      }
    },

    finish() {
      if (files.length === 0)
        throw new ArchiveError('CODE_INVALID', 'the archive holds no files; put the handler into it');
      syncTree(root, paths);
      return { hex: contentDigest(files, names.emptyFolders()), sizeBytes, files: files.length };
    },
  };
}
