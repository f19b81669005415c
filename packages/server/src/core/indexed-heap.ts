/**
 * Items of which the first is known at once. Placing and removing one costs the logarithm of how many there are; whoever
 * changes what {@link IndexedHeap} orders by places the item anew.
 */
export class IndexedHeap<T> {
  readonly #isBefore: (one: T, other: T) => boolean;
  readonly #items: T[] = [];
  readonly #places = new Map<T, number>();

  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  /** Takes an item in, or moves one that is in to where it belongs by now. */
  place(item: T): void {
    const at = this.#places.get(item) ?? this.#items.push(item) - 1;
    this.#sink(item, this.#rise(item, at));
  }

  /** Takes an item out; one that is not in is left alone. */
  remove(item: T): void {
    const at = this.#places.get(item);
    if (at === undefined) return;
    this.#places.delete(item);
    const last = this.#items.pop() as T;
    if (at < this.#items.length) this.#sink(last, this.#rise(last, at));
  }

  #rise(item: T, from: number): number {
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = this.#items[parentAt] as T;
      if (!this.#isBefore(item, parent)) break;
      this.#put(parent, at);
      at = parentAt;
    }
    return at;
  }

  #sink(item: T, from: number): void {
    let at = from;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= this.#items.length) break;
      const [left, right] = [this.#items[childAt] as T, this.#items[childAt + 1]];
      let child = left;
      if (right !== undefined && this.#isBefore(right, left)) {
        child = right;
        childAt += 1;
      }
      if (!this.#isBefore(child, item)) break;
      this.#put(child, at);
      at = childAt;
    }
    this.#put(item, at);
  }

  #put(item: T, at: number): void {
    this.#items[at] = item;
    this.#places.set(item, at);
  }
}
