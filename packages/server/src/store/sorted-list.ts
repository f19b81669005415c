/** Values in order; those that compare as equal count as one. Changes take the same time wherever they are. */
export interface SortedList<T> extends Iterable<T> {
  readonly size: number;
  first(): T | undefined;
  last(): T | undefined;
  /** Adds a value, or puts it in the place of the one that compares as equal. */
  add(value: T): void;
  /** Removes the value that compares as equal, where there is one. */
  remove(value: T): void;
}

/** Most values of a chunk; twice as many are two chunks. */
const CHUNK = 512;

/** Makes an empty list in the order of `compare`. Kept in chunks: in one array of a million each removal takes a millisecond. */
export function createSortedList<T>(compare: (left: T, right: T) => number): SortedList<T> {
  /** None is empty. */
  const chunks: T[][] = [];
  let size = 0;

  /** The chunk that has a value or takes it: the first whose last value does not come before it, else the last one. */
  const chunkFor = (value: T): number =>
    Math.min(
      firstIndex(chunks, (chunk) => isBefore(chunk.at(-1), value)),
      chunks.length - 1,
    );
  const isBefore = (there: T | undefined, value: T): boolean => there !== undefined && compare(there, value) < 0;
  const isSame = (there: T | undefined, value: T): boolean => there !== undefined && compare(there, value) === 0;

  return {
    get size() {
      return size;
    },
    first: () => chunks[0]?.[0],
    last: () => chunks.at(-1)?.at(-1),

    add(value) {
      const at = chunkFor(value);
      const chunk = chunks[at];
      if (!chunk) {
        chunks.push([value]);
        size += 1;
        return;
      }
      const index = firstIndex(chunk, (there) => isBefore(there, value));
      const replaces = isSame(chunk[index], value);
      chunk.splice(index, replaces ? 1 : 0, value);
      if (!replaces) size += 1;
      if (chunk.length > 2 * CHUNK) chunks.splice(at + 1, 0, chunk.splice(CHUNK));
    },

    remove(value) {
      const at = chunkFor(value);
      const chunk = chunks[at];
      if (!chunk) return;
      const index = firstIndex(chunk, (there) => isBefore(there, value));
      if (!isSame(chunk[index], value)) return;
      chunk.splice(index, 1);
      size -= 1;
      if (chunk.length === 0) chunks.splice(at, 1);
    },

    *[Symbol.iterator]() {
      for (const chunk of chunks) yield* chunk;
    },
  };
}

/** Index of the first value that is not before; all that are before come first. */
function firstIndex<V>(values: readonly V[], isBefore: (value: V) => boolean): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const there = values[middle];
    if (there !== undefined && isBefore(there)) low = middle + 1;
    else high = middle;
  }
  return low;
}
