import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EbbError } from '../core/errors.ts';

/** What the files say. */
export interface BasicAuthFiles {
  readonly user: string;
  readonly password: string;
}

/**
 * Reads user and password from the files `basic-auth-user` and `basic-auth-password` of a directory, with the white
 * space around them cut off. Throws CONFIG_INVALID where one is missing or empty.
 */
export function readBasicAuthFiles(directory: string): BasicAuthFiles {
  const user = readTrimmed(join(directory, 'basic-auth-user'));
  if (user.includes(':')) {
    throw new EbbError(
      'CONFIG_INVALID',
      `the file ${join(directory, 'basic-auth-user')} holds a ":", which a user must not have`,
    );
  }
  return { user, password: readTrimmed(join(directory, 'basic-auth-password')) };
}

function readTrimmed(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new EbbError(
      'CONFIG_INVALID',
      `"secretMountPath" needs the file ${path}, which cannot be read; write it, or leave the setting out`,
      { cause },
    );
  }
  if (text !== '') return text;
  throw new EbbError(
    'CONFIG_INVALID',
    `the file ${path} is empty; write what it is to hold, or leave "secretMountPath" out`,
  );
}
