import { createReadStream } from 'node:fs';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Extract, type Header, pack } from 'tar-stream';
import { EbbError } from '../../core/errors.ts';
import { parseEntryPath } from '../entry-path.ts';

/** One entry of a tar file: its header, and its content as a stream. */
type Entry = Extract extends AsyncIterable<infer T> ? T : never;

/** What a build's archive says beside its context. */
export interface BuildArchive {
  readonly config: string;
  readonly secrets: string | undefined;
}

const CONFIG = 'com.openfaas.docker.config';
const SECRETS = 'com.openfaas.secrets';
const CONTEXT = 'context';
const MAX_CONFIG_BYTES = 2 ** 20;
/** All secrets together, sealed and in base64. */
const MAX_SECRETS_BYTES = 16 * 2 ** 20;
const MAX_ENTRIES = 100_000;
const CHUNK_BYTES = 256 * 1024;

/** Reads what a build's archive says, and checks the names in it. Throws BUILD_INVALID. */
export async function readBuildArchive(path: string): Promise<BuildArchive> {
  let config: string | undefined;
  let secrets: string | undefined;
  let hasContext = false;
  await eachEntry(path, async (entry) => {
    const [first = '', ...inside] = segmentsOf(entry.header.name);
    if (first === CONTEXT && inside.length > 0) {
      hasContext = true;
      headerOf(entry, inside.join('/'));
    }
    if (inside.length > 0 || entry.header.type !== 'file') return;
    if (first === CONFIG && config === undefined) config = await textOf(entry, MAX_CONFIG_BYTES);
    else if (first === SECRETS && secrets === undefined) secrets = await textOf(entry, MAX_SECRETS_BYTES);
    else if (first === CONFIG || first === SECRETS) throw invalid(`it has "${first}" twice`);
  });
  if (config === undefined) throw invalid(`it has no "${CONFIG}"`);
  if (!hasContext) throw invalid(`it has nothing in "${CONTEXT}/"`);
  return { config, secrets };
}

/** The context of a build as a tar file of its own; what goes wrong with it destroys the stream. */
export function openContext(path: string): Readable {
  const tar = pack();
  const context = new PassThrough();
  // What is wrong on one side is thrown on the other.
  pipeline(tar, context).catch(() => {});
  eachEntry(path, async (entry) => {
    const [first, ...inside] = segmentsOf(entry.header.name);
    if (first !== CONTEXT || inside.length === 0) return;
    const header = headerOf(entry, inside.join('/'));
    if (header.type === 'file') await pipeline(entry, tar.entry(header));
    else tar.entry(header);
  }).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  return context;
}

/** The header an entry has in the context. Throws BUILD_INVALID for what is not taken. */
function headerOf({ header }: Entry, name: string): Partial<Header> & Pick<Header, 'name'> {
  const { type, size, mode, mtime, linkname } = header;
  // Who owns what on the sender's machine is nothing to an image.
  const made = { name, mode, mtime, uid: 0, gid: 0 };
  switch (type) {
    case 'directory':
      return { ...made, type };
    case 'symlink':
      // It leads somewhere only in the image, where the daemon unpacks it, shut in.
      return { ...made, type, linkname };
    case 'link':
      return { ...made, type, linkname: linkedName(linkname) };
    case 'file':
    case 'contiguous-file':
      return { ...made, type: 'file', size };
    default:
      throw invalid(`"${name}" is a ${type}; only files, folders and links are taken`);
  }
}

function linkedName(linkname: Header['linkname']): string {
  const [first, ...inside] = segmentsOf(linkname ?? '');
  if (first !== CONTEXT || inside.length === 0) throw invalid('it has a hard link to a file outside its context');
  return inside.join('/');
}

async function eachEntry(path: string, take: (entry: Entry) => Promise<void>): Promise<void> {
  const tar = extract();
  const fed = pipeline(createReadStream(path, { highWaterMark: CHUNK_BYTES }), tar);
  // When it fails, it destroys `tar`, and the iteration fails with the same error.
  fed.catch(() => {});
  let entries = 0;
  try {
    for await (const entry of tar) {
      entries += 1;
      if (entries > MAX_ENTRIES) throw invalid(`it has more than ${MAX_ENTRIES} files and folders`);
      await take(entry);
      entry.resume();
    }
    await fed;
  } catch (cause) {
    if (cause instanceof EbbError) throw cause;
    throw new EbbError('BUILD_INVALID', 'the body is no tar file, or a damaged one', { cause });
  }
}

function segmentsOf(name: string): readonly string[] {
  const parsed = parseEntryPath(name);
  if (parsed.kind === 'path') return parsed.segments;
  throw invalid(`"${name.slice(0, 80)}" ${parsed.reason}`);
}

async function textOf(entry: Entry, maxBytes: number): Promise<string> {
  const { name, size } = entry.header;
  if (size > maxBytes) throw invalid(`"${name}" is longer than the ${maxBytes / 2 ** 20} MiB allowed`);
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function invalid(problem: string): EbbError {
  return new EbbError('BUILD_INVALID', `the archive of the build cannot be used: ${problem}`);
}
