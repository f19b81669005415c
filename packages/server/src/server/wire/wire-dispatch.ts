import { createFunctionDeliverer } from '../../async/deliver-function.ts';
import type { Deliverer } from '../../async/deliverer.ts';
import { followUps } from '../../async/decide-follow-ups.ts';
import { createDispatcher, type Dispatcher, type DispatcherOptions } from '../../async/dispatcher.ts';
import type { LaneName } from '../../async/lane-name.ts';
import type { LaneRoom } from '../../async/decide-lane-limit.ts';
import type { PayloadFiles } from '../../async/payload-files.ts';
import type { Settling } from '../../async/settling.ts';
import { createPace } from '../../async/pace.ts';
import { createPolicies } from '../../async/policies.ts';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { FunctionRegistry, Invoker } from '../../core/ports.ts';
import type { InstancePools } from '../../pool/instance-pools.ts';
import type { LendableQueue } from '../../store/lendable-queue.ts';

/** An address is not called more often at once. */
const ADDRESS_ROOM: LaneRoom = { perInstance: 4, ready: 4, most: 16 };
/** Calls of what is gone only have to be buried. */
const GONE_ROOM: LaneRoom = { perInstance: 100, ready: 1, most: 100 };
/** Of a limit of calls at once, what attempts may use: the rest is for calls that somebody waits for. */
const SHARE_OF_LIMIT = 0.8;
/** How often leases that ran out and calls that grew too old are looked for. */
const SWEEP_EVERY_MS = 5_000;

/** How often the pools of functions that scale by their queue are told how long it is. */
const BACKLOG_EVERY_MS = 2_000;

/** What {@link wireDispatch} joins. */
export interface WireDispatchOptions {
  readonly queue: LendableQueue;
  readonly settling: Settling;
  /** Names this run of the server. */
  readonly owner: string;
  readonly registry: Pick<FunctionRegistry, 'list' | 'resolve' | 'watch'>;
  readonly pools: Pick<InstancePools, 'find'>;
  readonly invoker: Invoker;
  /** Counts the calls from outside. */
  readonly outside: () => number;
  readonly files: PayloadFiles;
  /** Posts to addresses. */
  readonly url: Deliverer;
  /** Told of each call that has ended. */
  readonly onEnded: (id: string) => void;
  /** Counts how attempts left their calls. */
  readonly onSettled: NonNullable<DispatcherOptions['onSettled']>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What delivers asynchronous calls. */
export interface Dispatch extends AsyncDisposable {
  readonly dispatcher: Dispatcher;
  /** Begins; runs of the server that still have calls are `alive`. */
  start(alive?: readonly string[]): Promise<void>;
}

/** Joins the dispatcher with queue, functions and instances. */
export function wireDispatch(options: WireDispatchOptions): Dispatch {
  const { registry, pools, invoker, outside, files, url, clock, logger, queue } = options;
  const made = new AsyncDisposableStack();
  const policies = createPolicies(registry);
  const policyOf = (namespace: string, name: string) =>
    policies.of({ kind: 'function', namespace, name, qualifier: '' });
  const dispatcher = made.use(
    createDispatcher({
      ...options,
      pace: made.use(createPace({ outside, clock })),
      deliverers: { function: createFunctionDeliverer({ invoker, files, clock }), url },
      policyOf: (target) => policies.of(target),
      roomOf,
      followUps: (ended) => {
        const { items, dropped } = followUps({ ...ended, policyOf: (name) => policyOf(ended.record.namespace, name) });
        const { id, namespace } = ended.record;
        if (dropped.length > 0)
          logger.warn({ callId: id, namespace }, 'an outcome came of too many others and is not sent on');
        return items;
      },
    }),
  );
  made.use(queue.onWork((lanes) => dispatcher.poke(lanes)));
  made.use(
    registry.watch(({ previous }) => {
      // What was held because the function could not be called may begin, and what is for nobody ends.
      if (previous) dispatcher.changed(`${previous.namespace}/${previous.name}`);
    }),
  );
  return {
    dispatcher,
    async start(alive) {
      await dispatcher.start(alive);
      let sweeping: Promise<void> | undefined;
      const sweep = setInterval(() => {
        sweeping ??= dispatcher.sweep().finally(() => (sweeping = undefined));
      }, SWEEP_EVERY_MS).unref();
      made.defer(() => clearInterval(sweep));
      let telling: Promise<void> | undefined;
      const tell = setInterval(() => {
        telling ??= tellBacklogs().finally(() => (telling = undefined));
      }, BACKLOG_EVERY_MS).unref();
      made.defer(() => clearInterval(tell));
    },
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };

  /** Tells the pools of functions that scale by it how many of their calls are in the queue. Never rejects. */
  async function tellBacklogs(): Promise<void> {
    const following = registry.list().filter(({ live }) => live.limits.scaling.mode === 'queue');
    if (following.length === 0) return;
    // The queue may be another server's by now, and what is not known is left as it was.
    const lanes = await queue.lanes().catch(() => undefined);
    if (!lanes) return;
    const now = clock.now();
    const due = lanes.filter(({ nextAt = Infinity }) => nextAt <= now);
    for (const { namespace, name, live } of following) {
      const pool = pools.find(live.key);
      if (pool) pool.backlog = due.find(({ lane }) => lane === `${namespace}/${name}`)?.queued ?? 0;
    }
  }

  function roomOf({ kind, namespace, name }: LaneName): LaneRoom {
    if (kind !== 'function') return ADDRESS_ROOM;
    const record = registry.resolve(namespace, name);
    if (!record) return GONE_ROOM;
    const { concurrency, scaleMax, calls } = record.live.limits;
    let ready = 0;
    for (const { key } of record.versions) ready += pools.find(key)?.ready ?? 0;
    return {
      perInstance: concurrency,
      ready,
      most: Math.min(scaleMax * concurrency, Math.floor((calls.concurrency ?? Infinity) * SHARE_OF_LIMIT)),
      given: policyOf(namespace, name).concurrency,
    };
  }
}
