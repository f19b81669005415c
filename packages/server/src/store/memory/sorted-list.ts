/** Values in order; those that compare as equal count as one. */
export interface SortedList<T> extends Iterable<T> {
  readonly size: number;
  first(): T | undefined;
  last(): T | undefined;
  add(value: T): void;
  /** Removes the value that compares as equal, where there is one. */
  remove(value: T): void;
}

/** Makes an empty list in the order of `compare`. */
export function createSortedList<T>(compare: (left: T, right: T) => number): SortedList<T> {
  const values: T[] = [];
  /** Where the first value is that does not come before this one. */
  const find = (value: T): number => {
    let [low, high] = [0, values.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = values[middle];
      if (there !== undefined && compare(there, value) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const isAt = (index: number, value: T): boolean => {
    const there = values[index];
    return there !== undefined && compare(there, value) === 0;
  };
  return {
    get size() {
      return values.length;
    },
    first: () => values[0],
    last: () => values.at(-1),
    add(value) {
      const index = find(value);
      values.splice(index, isAt(index, value) ? 1 : 0, value);
    },
    remove(value) {
      const index = find(value);
      if (isAt(index, value)) values.splice(index, 1);
    },
    [Symbol.iterator]: () => values[Symbol.iterator](),
  };
}
