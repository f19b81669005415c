import { randomBytes } from 'node:crypto';
import { chmod, type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EbbError } from '../core/errors.ts';
import { KEY_BYTES } from './seal.ts';

/** Reads the key of the secrets; undefined when there is no such file. Throws STORE_FAILED for any other content. */
export async function readKeyFile(path: string): Promise<Uint8Array | undefined> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new EbbError('STORE_FAILED', `the key of the secrets ${path} cannot be read by the user of the server`, {
      cause,
    });
  });
  if (text === undefined) return undefined;
  const key = Buffer.from(text.trim(), 'base64url');
  if (key.length === KEY_BYTES && key.toString('base64url') === text.trim()) {
    await chmod(path, 0o600);
    return key;
  }
  throw new EbbError('STORE_FAILED', `${path} does not hold a key of secrets; put back the file from a backup`);
}

/** Makes a random key and its file, which only the server's user can read; on disk when this resolves. */
export async function createKeyFile(path: string): Promise<Uint8Array> {
  const key = randomBytes(KEY_BYTES);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const draft = `${path}.new`;
    {
      await using file = await open(draft, 'w', 0o600);
      await file.writeFile(`${key.toString('base64url')}\n`);
      await file.sync();
    }
    await rename(draft, path);
    await using folder: FileHandle = await open(dirname(path), 'r');
    await folder.sync();
  } catch (cause) {
    throw new EbbError(
      'STORE_FAILED',
      `the key of the secrets ${path} cannot be written; check its folder and the disk`,
      {
        cause,
      },
    );
  }
  return key;
}
