import { setTimeout as sleep } from 'node:timers/promises';
import type { AttemptResource, InvocationState } from '@ebb/contract';
import { expect } from 'vitest';
import type { Lease, Queue, Settlement } from '../../packages/server/src/store/queue.ts';
import { newItem } from '../conformance/queue-items.ts';

/** Everything that was told by a queue under faults, to be checked afterwards. */
export interface History {
  /** Ids that were handed over, acknowledged or not. */
  readonly submitted: Set<string>;
  readonly acknowledged: Set<string>;
  /** Ends that the queue said it took, by id. */
  readonly ends: Map<string, InvocationState[]>;
  /** Attempts that were handed out: id and number. */
  readonly attempts: string[];
  /** Receipts of attempts that the traffic gave up on purpose, to be settled late. */
  readonly zombies: Lease[];
  rejections: number;
}

/** How {@link runTraffic} goes. */
export interface TrafficOptions {
  /** One or more drivers on the same records; the work is spread over them. */
  readonly queues: readonly Queue[];
  readonly calls: number;
  /** Calls as the store sees time. Default: the host's clock. */
  readonly now?: () => number;
  readonly leaseMs?: number;
  /** Happens while the calls come and are made. */
  readonly fault: () => Promise<void>;
}

const LANE = 'acme/resize';
const SUBMITTERS = 8;
const WORKERS = 4;
const GIVE_UP_MS = 40_000;

/**
 * Submits calls, makes them with random outcomes, takes lost ones back, and keeps the history; returns once every
 * acknowledged call has ended. Some attempts are abandoned, for zombies to settle later.
 */
export async function runTraffic(options: TrafficOptions): Promise<History> {
  const { queues, calls, leaseMs = 400, now = Date.now } = options;
  const history: History = {
    submitted: new Set(),
    acknowledged: new Set(),
    ends: new Map(),
    attempts: [],
    zombies: [],
    rejections: 0,
  };
  const queueAt = (index: number): Queue => {
    const queue = queues[index % queues.length];
    if (!queue) throw new Error('there is no queue');
    return queue;
  };
  const tolerate = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      expect(error).toMatchObject({ code: 'STORE_FAILED' });
      history.rejections += 1;
      await sleep(20);
      return undefined;
    }
  };

  let next = 0;
  const submit = async (index: number) => {
    while (next < calls) {
      const id = `c${next++}`;
      history.submitted.add(id);
      const at = now();
      const accepted = await tolerate(() =>
        queueAt(index).enqueue([newItem(id, { acceptedAt: at, runAt: at, expiresAt: at + 86_400_000 })]),
      );
      if (accepted) history.acknowledged.add(id);
      await sleep(1);
    }
  };

  const until = performance.now() + GIVE_UP_MS;
  let isOver = false;
  const work = async (index: number) => {
    while (!isOver) {
      const queue = queueAt(index);
      const leased = await tolerate(() =>
        queue.lease({ lane: LANE, max: 5, now: now(), untilAt: now() + leaseMs, owner: `w${index % queues.length}` }),
      );
      for (const lease of leased?.leases ?? []) {
        history.attempts.push(`${lease.record.id}#${lease.attempt}`);
        const dice = Math.random();
        if (dice < 0.03) {
          history.zombies.push(lease);
          continue;
        }
        const settlement = settlementOf(lease, now(), dice);
        const settled = await tolerate(() => queue.settle([settlement]));
        if (settled?.[0] && settlement.next.kind !== 'retry') noteEnd(history, lease.record.id, settlement.next.kind);
      }
      if (!leased?.leases.length) await sleep(10);
    }
  };
  const reclaim = async () => {
    while (!isOver) {
      for (const queue of queues) await tolerate(() => queue.reclaim({ now: now() }));
      await sleep(50);
    }
  };
  const watch = async () => {
    await Promise.all([...Array.from({ length: SUBMITTERS }, (_, index) => submit(index)), options.fault()]);
    for (;;) {
      const open = await tolerate(() => queueAt(0).count('acme'));
      if (open && open.queued + open.running === 0) break;
      if (performance.now() > until) throw new Error(`calls do not end: ${JSON.stringify(open)}`);
      await sleep(50);
    }
  };
  const workers = [...Array.from({ length: WORKERS }, (_, index) => work(index)), reclaim()];
  try {
    await watch();
  } finally {
    isOver = true;
    await Promise.all(workers);
  }
  for (const zombie of history.zombies) {
    const [settled] = await queueAt(0).settle([settlementOf(zombie, now(), 1)]);
    expect(settled, `zombie of ${zombie.record.id}`).toBe(false);
  }
  return history;
}

/**
 * Checks a history against what a queue has: nothing acknowledged is lost (A1), every call has exactly one end and it is
 * the one that was told (A2), attempts are numbered without repeats (A3), and no call is there that nobody submitted.
 */
export async function checkHistory(history: History, queue: Queue): Promise<void> {
  const records = await queue.list({ namespace: 'acme', limit: 1_000_000 });
  const found = new Map(records.map((record) => [record.id, record]));
  expect([...history.acknowledged].filter((id) => !found.has(id))).toEqual([]);
  expect([...found.keys()].filter((id) => !history.submitted.has(id))).toEqual([]);
  expect(new Set(history.attempts).size).toBe(history.attempts.length);
  for (const [id, record] of found) {
    expect(['succeeded', 'dead', 'cancelled'], id).toContain(record.state);
    const told = history.ends.get(id) ?? [];
    expect(told.length, `ends of ${id}`).toBeLessThanOrEqual(1);
    if (told[0] !== undefined) expect(record.state, id).toBe(told[0]);
    const numbers = record.attempts.map(({ number }) => number);
    expect(numbers, id).toEqual(Array.from({ length: record.begun }, (_, index) => index + 1));
  }
}

function noteEnd(history: History, id: string, state: InvocationState): void {
  history.ends.set(id, [...(history.ends.get(id) ?? []), state]);
}

function settlementOf(lease: Lease, now: number, dice: number): Settlement {
  const at = new Date(now).toISOString();
  const attempt = (end: AttemptResource['end']): AttemptResource => ({
    number: lease.attempt,
    startedAt: at,
    endedAt: at,
    end,
  });
  if (dice < 0.2) {
    return { receipt: lease.receipt, now, attempt: attempt('failed'), next: { kind: 'retry', at: now, counts: true } };
  }
  if (dice < 0.3) {
    const next = { kind: 'dead', reason: 'attempts', message: 'failed', counts: true } as const;
    return { receipt: lease.receipt, now, attempt: attempt('failed'), next };
  }
  return { receipt: lease.receipt, now, attempt: attempt('succeeded'), next: { kind: 'succeeded' } };
}
