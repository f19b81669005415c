import { type AsyncPolicy, resolveAsync } from '@ebb/contract';
import type { LaneRoom } from '../../packages/server/src/async/decide-lane-limit.ts';
import type { Delivered, Deliverer } from '../../packages/server/src/async/deliverer.ts';
import {
  createDispatcher,
  type Dispatcher,
  type DispatcherOptions,
} from '../../packages/server/src/async/dispatcher.ts';
import type { LaneName } from '../../packages/server/src/async/lane-name.ts';
import type { Clock } from '../../packages/server/src/core/clock.ts';
import { createMemoryQueue } from '../../packages/server/src/store/memory/memory-queue.ts';
import type { Lease, NewItem, Queue, QueueRecord } from '../../packages/server/src/store/queue.ts';

/** The namespace of a bench's calls. */
export const NS = 'openfaas-fn';
/** Milliseconds. */
export const HOUR_MS = 3_600_000;
/** Says nothing. */
export const logger = { error: () => {}, info: () => {} };

/** A clock whose wall time can be set; the other goes on. */
function createTestClock(): Clock & { jumpMs: number } {
  const clock = {
    jumpMs: 0,
    now: () => Date.now() + clock.jumpMs,
    monotonic: () => performance.now(),
  };
  return clock;
}

/** A dispatcher on a queue in memory, with what it did. */
export interface Bench extends AsyncDisposable {
  readonly queue: Queue;
  readonly clock: Clock & { jumpMs: number };
  readonly dispatcher: Dispatcher;
  /** Every attempt that was made, in order. */
  readonly made: { readonly id: string; readonly attempt: number; readonly at: number }[];
  /** Attempts under way. */
  running(): number;
  submit(id: string, more?: Partial<NewItem>): Promise<void>;
  get(id: string): Promise<QueueRecord>;
}

type Act = (lease: Lease, signal: AbortSignal) => Promise<Partial<Delivered>> | Partial<Delivered>;

/** What a bench is made with. */
export interface BenchOptions extends Partial<Omit<DispatcherOptions, 'deliverers' | 'clock' | 'queue'>> {
  readonly queue?: Queue;
  readonly act?: Act;
  readonly policy?: Partial<AsyncPolicy>;
  readonly room?: (lane: LaneName) => LaneRoom;
}

/** Starts one. `act` is what each attempt comes to; by default it is answered with 200. */
export async function createBench(options: BenchOptions = {}): Promise<Bench> {
  const { act = () => ({}), policy = {}, room = () => ({ perInstance: 10, ready: 1, most: 20 }), ...more } = options;
  const queue = more.queue ?? createMemoryQueue();
  const clock = createTestClock();
  const made: { id: string; attempt: number; at: number }[] = [];
  let running = 0;
  const deliverer: Deliverer = {
    async deliver(lease, signal) {
      const startedAt = clock.now();
      made.push({ id: lease.record.id, attempt: lease.attempt, at: startedAt });
      running += 1;
      try {
        const done = await Promise.resolve(act(lease, signal));
        return { verdict: 'answered', status: 200, startedAt, endedAt: clock.now(), ...done };
      } finally {
        running -= 1;
      }
    },
  };
  const dispatcher = createDispatcher({
    owner: 'run-1',
    policyOf: () => ({ ...resolveAsync(), minWaitMs: 5, maxWaitMs: 20, ...policy }),
    roomOf: room,
    followUps: () => [],
    logger,
    ...more,
    queue,
    settling: queue,
    clock,
    deliverers: { function: deliverer, url: deliverer },
  });
  await dispatcher.start();
  return {
    queue,
    clock,
    dispatcher,
    made,
    running: () => running,
    async submit(id, item = {}) {
      const lane = item.lane ?? `${NS}/hello`;
      const now = clock.now();
      await queue.enqueue([
        {
          id,
          namespace: NS,
          lane,
          target: { kind: 'function', namespace: NS, name: 'hello', qualifier: '' },
          method: 'POST',
          path: '/',
          headers: [],
          body: { kind: 'none' },
          acceptedAt: now,
          runAt: now,
          expiresAt: now + HOUR_MS * 24,
          priority: 4,
          ...item,
        },
      ]);
      dispatcher.poke([lane]);
    },
    async get(id) {
      const record = await queue.get(id);
      if (!record) throw new Error(`"${id}" is not there`);
      return record;
    },
    [Symbol.asyncDispose]: () => dispatcher[Symbol.asyncDispose](),
  };
}

/** Whether a call of it stands so, for `eventually`. */
export const isIn = (bench: Bench, id: string, state: string) => async () => (await bench.get(id)).state === state;
/** Settles when the signal does. */
export const until = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
