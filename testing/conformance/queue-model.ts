import { DEAD_REASONS, INVOCATION_STATES } from '@ebb/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemoryQueue } from '../../packages/server/src/store/memory/memory-queue.ts';
import type {
  KeyRules,
  LaneStats,
  NewItem,
  Queue,
  QueueRecord,
  Settlement,
} from '../../packages/server/src/store/queue.ts';
import { attempt, newItem } from './queue-items.ts';

/** The driver, the oracle, and what both were told so far. */
interface Run {
  readonly driver: Queue;
  readonly oracle: Queue;
  now: number;
  readonly ids: string[];
  /** Receipts of the same lease: the driver's and the oracle's. */
  readonly receipts: (readonly [string, string])[];
}

type Command = (run: Run) => Promise<void>;

const START = 1_800_000_000_000;
const HOUR = 3_600_000;
/** Mostly the same, so that much comes together there. */
const LANES = ['acme/a', 'acme/a', 'acme/a', 'acme/b', 'zeta/a'] as const;

/** Compares a driver with the memory queue over random histories, each on a fresh queue, with a clock that jumps. */
export function queueModel(open: () => Promise<Queue>, histories: number): void {
  test('behaves as the memory driver for any history, with a clock that jumps an hour both ways (case 35)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 80, size: 'max' }), async (commands) => {
        await using opened = await open();
        const history: string[] = [];
        const driver = told(opened, history);
        await using oracle = createMemoryQueue();
        const run: Run = { driver, oracle, now: START, ids: [], receipts: [] };
        try {
          for (const one of commands) await one(run);
          await compareAll(run);
        } catch (cause) {
          throw new Error(`differs at the end of:\n${history.join('\n')}\n${String(cause)}`, { cause });
        }
      }),
      { numRuns: histories },
    );
  }, 120_000);
}

/** The same queue, which notes what it is asked, so that a history that fails can be read. */
function told(queue: Queue, history: string[]): Queue {
  return new Proxy(queue, {
    get(target, property: keyof Queue) {
      const method = target[property];
      if (typeof method !== 'function') return method;
      return (...asked: unknown[]): unknown => {
        if (property !== 'get' && property !== 'list') history.push(`${String(property)} ${JSON.stringify(asked)}`);
        return Reflect.apply(method, target, asked);
      };
    },
  });
}

/** Asks both the same and expects the same answer. */
async function same<T>(run: Run, ask: (queue: Queue) => Promise<T>, normalize: (answer: T) => unknown = (one) => one) {
  const expected = await ask(run.oracle);
  expect(normalize(await ask(run.driver))).toEqual(normalize(expected));
}

/** `seq` may have gaps in a driver; only its order counts, which the order of lists shows. */
function withoutSeq(record: QueueRecord): unknown {
  return { ...record, seq: undefined };
}

async function compareAll(run: Run): Promise<void> {
  for (const namespace of ['acme', 'zeta']) {
    await same(run, (queue) => queue.count(namespace));
    await same(
      run,
      (queue) => queue.list({ namespace, limit: 1000 }),
      (records) => records.map(withoutSeq),
    );
  }
  for (const id of run.ids)
    await same(
      run,
      (queue) => queue.get(id),
      (record) => record && withoutSeq(record),
    );
  await same(run, (queue) => queue.lanes(), sortedLanes);
  await same(run, (queue) => queue.filesInUse(['f0', 'f1', 'r']), sorted);
}

function sortedLanes(lanes: readonly LaneStats[]): unknown {
  return lanes.toSorted((left, right) => (left.lane < right.lane ? -1 : 1));
}

function sorted(names: Iterable<string>): readonly string[] {
  return [...names].sort();
}

const lane = fc.constantFrom(...LANES);
const wait = fc.constantFrom(0, 1, 50, 1000, HOUR);
/** Counted from the newest, mostly one of those. */
const index = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 1000 }));

/** The rules of a key go with its name, mostly as one function has one policy; `mixed` is what a change of it leaves. */
const rules: fc.Arbitrary<KeyRules | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.constantFrom<KeyRules>(
    { key: 'strict', order: 'strict', concurrency: 1, throttleMs: 0, debounceMs: 0 },
    { key: 'strict2', order: 'strict', concurrency: 2, throttleMs: 0, debounceMs: 0 },
    { key: 'loose', order: 'best-effort', throttleMs: 0, debounceMs: 0 },
    { key: 'loose1', order: 'best-effort', concurrency: 1, throttleMs: 0, debounceMs: 0 },
    { key: 'few', order: 'none', concurrency: 1, throttleMs: 0, debounceMs: 0 },
    { key: 'slow', order: 'none', throttleMs: 50, debounceMs: 0 },
    { key: 'slowly', order: 'strict', concurrency: 1, throttleMs: 1000, debounceMs: 1 },
    { key: 'quiet', order: 'none', throttleMs: 0, debounceMs: 50 },
  ),
  fc.record({
    key: fc.constant('mixed'),
    order: fc.constantFrom('none', 'best-effort', 'strict'),
    concurrency: fc.constantFrom(undefined, 1, 2),
    throttleMs: fc.constantFrom(0, 0, 50),
    debounceMs: fc.constantFrom(0, 0, 50),
  }),
);

interface Draft {
  readonly lane: (typeof LANES)[number];
  readonly delay: number;
  readonly maxAge: number;
  readonly priority: number;
  readonly rules: KeyRules | undefined;
  readonly once: { readonly key: string; readonly digest: string; readonly forMs: number } | undefined;
  readonly file: string | undefined;
  readonly qualifier: string;
  /** Takes the id of an earlier item instead of a new one. */
  readonly again: number | undefined;
}

const draft: fc.Arbitrary<Draft> = fc.record({
  lane,
  delay: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: wait }),
  maxAge: wait,
  priority: fc.constantFrom(0, 4, 9),
  rules,
  once: fc.option(fc.record({ key: fc.constantFrom('x', 'y'), digest: fc.constantFrom('1', '2'), forMs: wait }), {
    nil: undefined,
    freq: 3,
  }),
  file: fc.option(fc.constantFrom('f0', 'f1'), { nil: undefined, freq: 3 }),
  qualifier: fc.constantFrom('', '@1', ':live'),
  again: fc.option(index, { nil: undefined, freq: 8 }),
});

function asItem(run: Run, { lane: where, delay, maxAge, once, file, again, qualifier, ...rest }: Draft): NewItem {
  const earlier = again === undefined ? undefined : run.ids[again % Math.max(run.ids.length, 1)];
  const id = earlier ?? `i${run.ids.length}`;
  if (earlier === undefined) run.ids.push(id);
  const namespace = where.slice(0, 4);
  return newItem(id, {
    ...rest,
    lane: where,
    namespace,
    target: { kind: 'function', namespace, name: 'f', qualifier },
    acceptedAt: run.now,
    runAt: run.now + delay,
    expiresAt: run.now + maxAge,
    ...(once && { idempotency: { key: once.key, digest: once.digest, untilAt: run.now + once.forMs } }),
    ...(file !== undefined && { body: { kind: 'file', digest: file, sizeBytes: 5 } }),
  });
}

const enqueue = fc
  .tuple(fc.array(draft, { minLength: 1, maxLength: 5 }), fc.constantFrom(undefined, undefined, 3))
  .map(([drafts, perNamespace]): Command => async (run) => {
    const items = drafts.map((one) => asItem(run, one));
    await same(run, (queue) => queue.enqueue(items, { perNamespace }));
  });

const lease = fc
  .record({
    lane,
    max: fc.constantFrom(0, 1, 2, 10),
    forMs: wait,
    owner: fc.constantFrom('r1', 'r2'),
    old: fc.nat({ max: 5 }),
  })
  .map(({ lane: where, max, forMs, owner, old }): Command => async (run) => {
    const request = { lane: where, max, now: run.now, untilAt: run.now + forMs, owner, expired: old === 0 };
    const expected = await run.oracle.lease(request);
    const actual = await run.driver.lease(request);
    const plain = (leased: typeof actual) => ({
      nextAt: leased.nextAt,
      leases: leased.leases.map(({ record, attempt: number }) => [withoutSeq(record), number]),
    });
    expect(plain(actual)).toEqual(plain(expected));
    for (const [at, { receipt }] of actual.leases.entries()) {
      run.receipts.push([receipt, expected.leases[at]?.receipt ?? '']);
    }
  });

const next: fc.Arbitrary<(now: number) => Settlement['next']> = fc.oneof(
  fc
    .constantFrom(undefined, {
      status: 200,
      headers: ['A', 'b'],
      body: { kind: 'file' as const, digest: 'r', sizeBytes: 1 },
    })
    .map((result) => () => ({ kind: 'succeeded' as const, result })),
  fc.tuple(fc.constantFrom(-50, 0, 1, 50, 1000, HOUR), fc.boolean()).map(([after, counts]) => (now: number) => ({
    kind: 'retry' as const,
    at: now + after,
    counts,
  })),
  fc.tuple(fc.constantFrom(...DEAD_REASONS), fc.boolean()).map(([reason, counts]) => () => ({
    kind: 'dead' as const,
    reason,
    message: 'it is over',
    counts,
  })),
  fc.constant(() => ({ kind: 'cancelled' as const, message: 'by the caller' })),
);

const settle = fc
  .array(fc.tuple(index, next, fc.boolean(), fc.array(draft, { maxLength: 2 })), { minLength: 1, maxLength: 3 })
  .map((drafts): Command => async (run) => {
    const settlements = drafts.map(([which, how, began, follow], number) => ({
      receipts: run.receipts.at(-1 - (which % Math.max(run.receipts.length, 1))) ?? ['x', 'x'],
      settlement: {
        ...(began && { attempt: attempt(number + 1) }),
        now: run.now,
        next: how(run.now),
        ...(follow.length > 0 && { follow: follow.map((one) => asItem(run, one)) }),
      },
    }));
    await same(run, (queue) =>
      queue.settle(
        settlements.map(({ receipts, settlement }) => ({
          ...settlement,
          receipt: receipts[queue === run.driver ? 0 : 1] ?? '',
        })),
      ),
    );
  });

const extend = fc.tuple(index, wait).map(([which, forMs]): Command => async (run) => {
  const pair = run.receipts.at(-1 - (which % Math.max(run.receipts.length, 1))) ?? ['x', 'x'];
  await same(run, (queue) => queue.extend([pair[queue === run.driver ? 0 : 1] ?? ''], run.now + forMs));
});

const withId = (act: (run: Run, id: string) => Promise<void>) =>
  index.map(
    (which): Command =>
      (run) =>
        act(run, run.ids.at(-1 - (which % Math.max(run.ids.length, 1))) ?? 'nobody'),
  );

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: enqueue },
  { weight: 8, arbitrary: lease },
  { weight: 6, arbitrary: settle },
  { weight: 1, arbitrary: extend },
  {
    weight: 3,
    arbitrary: fc.constantFrom(1, 50, 50, 1000, HOUR, -HOUR).map((by): Command => async (run) => {
      run.now += by;
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(undefined, ['r1'], ['r1', 'r2'], []).map(
      (owners): Command =>
        (run) =>
          same(run, (queue) => queue.reclaim({ now: run.now, owners }), sorted),
    ),
  },
  {
    weight: 2,
    arbitrary: withId((run, id) => same(run, (queue) => queue.cancel(id, { now: run.now, message: 'no' }))),
  },
  {
    weight: 2,
    arbitrary: withId(async (run, id) => {
      const newId = `i${run.ids.length}`;
      run.ids.push(newId);
      await same(run, (queue) => queue.redrive([{ id, newId }], run.now));
    }),
  },
  { weight: 1, arbitrary: withId((run, id) => same(run, (queue) => queue.purge([id]))) },
  {
    weight: 1,
    arbitrary: fc.tuple(wait, wait, wait, fc.constantFrom(1, 3, 1000)).map(
      ([succeeded, cancelled, dead, max]): Command =>
        (run) =>
          same(run, (queue) =>
            queue.forget(
              {
                succeededBefore: run.now - succeeded + 1,
                cancelledBefore: run.now - cancelled + 1,
                deadBefore: run.now - dead + 1,
              },
              run.now,
              max,
            ),
          ),
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .record(
        {
          lane,
          states: fc.subarray([...INVOCATION_STATES]),
          redriven: fc.boolean(),
          reason: fc.constantFrom(...DEAD_REASONS),
          key: fc.constantFrom('strict', 'mixed'),
          sinceAt: wait.map((before) => START - before),
          beforeAt: wait.map((after) => START + after),
        },
        { requiredKeys: [] },
      )
      .map(
        (query): Command =>
          (run) =>
            same(
              run,
              (queue) => queue.list({ namespace: 'acme', ...query, limit: 5 }),
              (records) => records.map(withoutSeq),
            ),
      ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '@1', ':live', '@2').map(
      (qualifier): Command =>
        (run) =>
          same(run, (queue) => queue.hasQueued({ kind: 'function', namespace: 'acme', name: 'f', qualifier })),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Command>(compareAll) },
);
