/** Versions of a function that are kept besides the live one. */
export const KEPT_VERSIONS = 50;

/** Which stored version numbers to drop so that besides `live` the newest `kept` stay. */
export function decideRetention(
  stored: readonly number[],
  live: number,
  kept: number = KEPT_VERSIONS,
): readonly number[] {
  return stored
    .filter((version) => version !== live)
    .toSorted((left, right) => right - left)
    .slice(kept);
}
