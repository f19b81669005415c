/** Versions of a function that are kept besides those that are needed. */
export const KEPT_VERSIONS = 50;

/** Which stored version numbers to drop so that besides those `needed` the newest `kept` stay. */
export function decideRetention(
  stored: readonly number[],
  needed: ReadonlySet<number>,
  kept: number = KEPT_VERSIONS,
): readonly number[] {
  return stored
    .filter((version) => !needed.has(version))
    .toSorted((left, right) => right - left)
    .slice(kept);
}
