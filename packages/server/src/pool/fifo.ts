interface Node<T> {
  readonly value: T;
  previous: Node<T> | undefined;
  next: Node<T> | undefined;
  isWaiting: boolean;
}

/** A place in a {@link Fifo} that can be given up. */
export interface Place {
  /** Leaves the line; does nothing when it was already left or served. */
  leave(): void;
}

/** A first-in, first-out line in which anybody may give up their place; every operation is O(1), nothing is kept. */
export class Fifo<T> {
  #head: Node<T> | undefined;
  #tail: Node<T> | undefined;
  #length = 0;

  /** How many wait. */
  get length(): number {
    return this.#length;
  }

  push(value: T): Place {
    const node: Node<T> = { value, previous: this.#tail, next: undefined, isWaiting: true };
    if (this.#tail) this.#tail.next = node;
    else this.#head = node;
    this.#tail = node;
    this.#length += 1;
    return { leave: () => this.#remove(node) };
  }

  /** Takes the one that waited longest. */
  shift(): T | undefined {
    const node = this.#head;
    if (node) this.#remove(node);
    return node?.value;
  }

  /** Takes the one that came last. */
  pop(): T | undefined {
    const node = this.#tail;
    if (node) this.#remove(node);
    return node?.value;
  }

  #remove(node: Node<T>): void {
    if (!node.isWaiting) return;
    node.isWaiting = false;
    if (node.previous) node.previous.next = node.next;
    else this.#head = node.next;
    if (node.next) node.next.previous = node.previous;
    else this.#tail = node.previous;
    this.#length -= 1;
  }
}
