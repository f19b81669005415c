/** Versions of a function that are kept besides those that are needed, where nobody says otherwise. */
export const KEPT_VERSIONS = 50;

/** A version as far as it matters to how long it is kept. */
export interface StoredVersion {
  readonly version: number;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

/** How long versions are kept that nothing needs. */
export interface RetentionRule {
  /** The newest of them stay, this many. */
  readonly kept: number;
  /** Those made longer ago go, however few there are; absent for no bound. */
  readonly maxAgeMs?: number | undefined;
}

/** Which stored versions to drop, newest first; never one that is `needed`. */
export function decideRetention(
  stored: readonly StoredVersion[],
  needed: ReadonlySet<number>,
  { kept, maxAgeMs = Number.POSITIVE_INFINITY }: RetentionRule,
  now: number,
): readonly number[] {
  return stored
    .filter(({ version }) => !needed.has(version))
    .toSorted((left, right) => right.version - left.version)
    .filter(({ createdAt }, index) => index >= kept || now - createdAt > maxAgeMs)
    .map(({ version }) => version);
}
