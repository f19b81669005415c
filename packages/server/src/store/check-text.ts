import type { Write } from './key-value.ts';

/** Throws TypeError unless `text` is well-formed Unicode without NUL: only such text survives every medium. */
export function checkText(text: string, what: 'key' | 'prefix' | 'value'): void {
  if (!text.isWellFormed() || text.includes('\0')) {
    throw new TypeError(`a ${what} of the store must be well-formed text without NUL`);
  }
}

/** {@link checkText} for every key and value of a commit. */
export function checkWrites(writes: readonly Write[]): void {
  for (const write of writes) {
    checkText(write.key, 'key');
    if (write.kind === 'set') checkText(write.value, 'value');
  }
}
