/**
 * Why an archive is refused, as the unpacking thread knows it. It is told as the EbbError of the same code; the error
 * catalog itself would take longer to load into the thread than most archives take to unpack.
 */
export class ArchiveError extends Error {
  readonly code: 'CODE_INVALID' | 'CODE_TOO_LARGE';

  constructor(code: ArchiveError['code'], message: string) {
    super(message);
    this.name = 'ArchiveError';
    this.code = code;
  }
}

/** Throws CODE_INVALID that names the entry; `reason` ends the sentence. */
export function refuseEntry(name: string, reason: string): never {
  const shown = JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);
  throw new ArchiveError('CODE_INVALID', `the entry ${shown} of the archive ${reason}`);
}
