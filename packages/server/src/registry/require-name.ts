import { NAME_PATTERN, SECRET_NAME_PATTERN } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';

/** Throws INVALID_REQUEST unless `name` may name a function or namespace. */
export function requireName(name: string, field: 'namespace' | 'name'): void {
  if (NAME_PATTERN.test(name)) return;
  throw new EbbError(
    'INVALID_REQUEST',
    `"${field}" is ${show(name)} but must be 1 to 63 lower-case letters, digits or "-", starting and ending with a letter or digit`,
  );
}

/** Throws INVALID_REQUEST unless `name` may name a secret. */
export function requireSecretName(name: string): void {
  if (SECRET_NAME_PATTERN.test(name)) return;
  throw new EbbError(
    'INVALID_REQUEST',
    `the secret name ${show(name)} must be lower-case letters, digits, "-" and single dots, at most 253 characters, starting and ending with a letter or digit`,
  );
}

function show(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name);
}
