interface Node<T> {
  readonly value: T;
  next: Node<T> | undefined;
  removed: boolean;
}

/** A place in a {@link Fifo} that can be given up. */
export interface Place {
  /** Leaves the line; does nothing when it was already left or served. */
  leave(): void;
}

/** A first-in, first-out line in which anybody may give up their place; every operation is O(1) amortised. */
export class Fifo<T> {
  #head: Node<T> | undefined;
  #tail: Node<T> | undefined;
  #length = 0;

  /** How many wait. */
  get length(): number {
    return this.#length;
  }

  push(value: T): Place {
    const node: Node<T> = { value, next: undefined, removed: false };
    if (this.#tail) this.#tail.next = node;
    else this.#head = node;
    this.#tail = node;
    this.#length += 1;
    return { leave: () => this.#leave(node) };
  }

  /** Takes the one that waited longest. */
  shift(): T | undefined {
    while (this.#head) {
      const node = this.#head;
      this.#head = node.next;
      if (!this.#head) this.#tail = undefined;
      if (node.removed) continue;
      node.removed = true;
      this.#length -= 1;
      return node.value;
    }
    return undefined;
  }

  #leave(node: Node<T>): void {
    if (node.removed) return;
    node.removed = true;
    this.#length -= 1;
  }
}
