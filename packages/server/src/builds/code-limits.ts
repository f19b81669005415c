/** How much an uploaded archive may hold. */
export interface CodeLimits {
  /** Bytes of the archive as it is sent. */
  readonly archiveBytes: number;
  /** Bytes of all files after unpacking. */
  readonly unpackedBytes: number;
  /** Files and folders, those only implied by a path included. */
  readonly entries: number;
  /** Unpacked bytes for each byte sent; looked at beyond {@link RATIO_FREE_BYTES}. */
  readonly ratio: number;
}

/** Limits that fit an ordinary function with its dependencies. */
export const DEFAULT_CODE_LIMITS: CodeLimits = {
  archiveBytes: 256 * 2 ** 20,
  unpackedBytes: 2 ** 30,
  entries: 100_000,
  ratio: 100,
};

/** So much may be unpacked whatever the ratio: small files of blanks are harmless. */
export const RATIO_FREE_BYTES = 8 * 2 ** 20;
