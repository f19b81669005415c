/** Who is next of many: a binary heap of items whose order changes only while they are out of it. */
export class NextOf<T> {
  readonly #items: T[] = [];
  readonly #goesBefore: (one: T, other: T) => boolean;

  constructor(goesBefore: (one: T, other: T) => boolean) {
    this.#goesBefore = goesBefore;
  }

  /** The one that goes first, which stays. */
  get first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    const items = this.#items;
    let place = items.length;
    items.push(item);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = items[above];
      if (parent === undefined || !this.#goesBefore(item, parent)) break;
      items[place] = parent;
      place = above;
    }
    items[place] = item;
  }

  /** Takes out the one that goes first. */
  take(): T | undefined {
    const items = this.#items;
    const [first] = items;
    const last = items.pop();
    if (items.length === 0 || last === undefined) return first;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const right = left + 1;
      const below = this.#isBefore(right, left) ? right : left;
      const child = items[below];
      if (child === undefined || !this.#goesBefore(child, last)) break;
      items[place] = child;
      place = below;
    }
    items[place] = last;
    return first;
  }

  #isBefore(one: number, other: number): boolean {
    const [left, right] = [this.#items[one], this.#items[other]];
    return left !== undefined && right !== undefined && this.#goesBefore(left, right);
  }
}
