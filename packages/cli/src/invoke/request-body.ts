import { createReadStream, fstatSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';

const HINT_AFTER_MS = 2000;

/**
 * The body a call is to carry: `--data`, the bytes of `--file`, or standard input when it is a pipe or a file that
 * holds anything. Streams; undefined when there is none.
 */
export async function readRequestBody(
  context: CommandContext,
  method: string | undefined,
): Promise<string | AsyncIterable<Uint8Array> | undefined> {
  const { parameters, cwd } = context;
  const data = parameters.text('data');
  const file = parameters.text('file');
  if (data !== undefined && file !== undefined) {
    throw new CliError('USAGE', 'give either --data or --file, not both');
  }
  if (data !== undefined) return data;
  if (file !== undefined && file !== '-') return openFile(resolve(cwd, file));
  const isAsked = file === '-';
  const isBodiless = method === 'GET' || method === 'HEAD';
  if (!isAsked && (isBodiless || !parameters.flag('stdin') || !isPiped())) return undefined;
  return readStdin(context, isAsked);
}

async function openFile(path: string): Promise<AsyncIterable<Uint8Array>> {
  const stats = await stat(path).catch((error: unknown) => {
    throw new CliError('FILE_FAILED', `the file ${path} cannot be read`, { cause: error });
  });
  if (stats.isDirectory()) throw new CliError('FILE_FAILED', `${path} is a directory, not a file`);
  return createReadStream(path);
}

/** A terminal or /dev/null is not a body; a pipe, a socket or a file is. */
function isPiped(): boolean {
  try {
    const stats = fstatSync(0);
    return stats.isFIFO() || stats.isFile() || stats.isSocket();
  } catch {
    return false;
  }
}

async function readStdin(context: CommandContext, isAsked: boolean): Promise<AsyncIterable<Uint8Array> | undefined> {
  const { stdin, output, signal } = context;
  const chunks = stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const hint = setTimeout(
    () => output.note('Reading the body from standard input; end it with Ctrl-D, or use --no-stdin.'),
    stdin.isTTY ? 0 : HINT_AFTER_MS,
  );
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const first = await Promise.race([chunks.next(), aborted.promise]);
    if (first.done !== true) return chain(first.value, chunks);
    return isAsked ? chain(new Uint8Array(), chunks) : undefined;
  } finally {
    clearTimeout(hint);
    signal.removeEventListener('abort', onAbort);
  }
}

async function* chain(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
