/** Hands values to everybody who listens at the time. */
export interface Broadcast<T> {
  send(value: T): void;
  /** Values sent from this call on, until `signal` aborts or the broadcast closes. */
  subscribe(signal?: AbortSignal): AsyncIterable<T>;
  /** Ends all subscriptions once they have taken what was sent. */
  close(): void;
}

/** What a broadcast does with a subscriber that does not keep up. */
export interface BroadcastOptions<T> {
  /** Most values that wait for one subscriber. */
  readonly capacity: number;
  /** Takes the place of what waits when the capacity is passed. */
  readonly overflow: T;
}

interface Subscriber<T> {
  waiting: T[];
  wake: () => void;
}

/** Makes a {@link Broadcast}; memory stays bounded however slow a subscriber is. */
export function createBroadcast<T>(options: BroadcastOptions<T>): Broadcast<T> {
  const subscribers = new Set<Subscriber<T>>();
  let isClosed = false;

  async function* drain(subscriber: Subscriber<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
    const wake = () => subscriber.wake();
    signal?.addEventListener('abort', wake, { once: true });
    try {
      while (!signal?.aborted) {
        const values = subscriber.waiting;
        subscriber.waiting = [];
        for (const value of values) {
          yield value;
          if (signal?.aborted) return;
        }
        if (subscriber.waiting.length > 0) continue;
        if (isClosed) return;
        await new Promise<void>((resolve) => {
          subscriber.wake = resolve;
        });
      }
    } finally {
      subscribers.delete(subscriber);
      signal?.removeEventListener('abort', wake);
    }
  }

  return {
    send(value) {
      for (const subscriber of subscribers) {
        if (subscriber.waiting.length >= options.capacity) subscriber.waiting = [options.overflow];
        else subscriber.waiting.push(value);
        subscriber.wake();
      }
    },
    subscribe(signal) {
      const subscriber: Subscriber<T> = { waiting: [], wake: () => {} };
      subscribers.add(subscriber);
      return drain(subscriber, signal);
    },
    close() {
      isClosed = true;
      for (const subscriber of subscribers) subscriber.wake();
    },
  };
}
