import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import nacl from 'tweetnacl';
import { EbbError } from '../../core/errors.ts';
import { newShortId } from '../../core/ids.ts';
import { type SealingKeys, sealingKeysOf } from './sealed-secrets.ts';

/**
 * The keys secrets of builds are sealed for: those of the file, which is made when there is none, for its owner alone.
 * They stay the same, because senders keep the public one. Throws STORE_FAILED.
 */
export async function loadBuilderKey(path: string): Promise<SealingKeys> {
  const known = await readKey(path);
  if (known) return known;
  const made = nacl.box.keyPair();
  const unfinished = `${path}.${newShortId()}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await write(unfinished, `${Buffer.from(made.secretKey).toString('base64')}\n`);
    // Fails where there is one by now: nobody ever sees half a key, and nobody's is replaced.
    await link(unfinished, path);
    return made;
  } catch (cause) {
    // A server that is replaced may have made it at the same moment.
    const other = await readKey(path);
    if (other) return other;
    throw new EbbError('STORE_FAILED', `the key of the builder could not be written to ${path}`, { cause });
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function write(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
}

async function readKey(path: string): Promise<SealingKeys | undefined> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new EbbError('STORE_FAILED', `the key of the builder could not be read from ${path}`, { cause });
  });
  if (text === undefined) return undefined;
  const secretKey = Buffer.from(text.trim(), 'base64');
  if (secretKey.length !== nacl.box.secretKeyLength)
    throw new EbbError(
      'STORE_FAILED',
      `${path} does not hold a key of 32 bytes; restore it, or remove it for a new one`,
    );
  return sealingKeysOf(secretKey);
}
