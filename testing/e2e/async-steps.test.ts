import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE, type InvocationResource } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import type { FaultPoint } from '../fault-server/faulty-queue.ts';
import { type FaultyServer, startFaultyServer } from '../harness/faulty-server.ts';
import { type History, startHistory } from '../harness/history.ts';
import { describeWithNats } from '../harness/nats.ts';
import { createTcpProxy } from '../harness/tcp-proxy.ts';
import { startNats } from '../services/nats.ts';

const FAILED = 'failed';
const POLICY = { async: { retry: { attempts: 2, minWait: '10ms', maxWait: '20ms' }, onFailure: [{ queue: FAILED }] } };

/** The call, its lease, its end with what follows, the item that follows, and that this is done. */
const WRITES_OF_A_DEAD_LETTER = 5;

/** A server that is killed at one step after the other, and what has to hold afterwards. */
interface Steps {
  readonly faulty: FaultyServer;
  readonly history: History;
  /** Kills it at that point while `work` is under way, and starts it again. */
  readonly at: <T>(point: FaultPoint, work: () => Promise<T>) => Promise<T>;
  /** How a call ended, once it has: its state and its attempts. */
  readonly endOf: (id: string | undefined) => Promise<string>;
  /** Ids of calls whose failure came into the queue since it was asked last. */
  readonly takeFailed: () => Promise<string[]>;
}

async function startSteps(faulty: FaultyServer): Promise<Steps> {
  const { server } = faulty;
  const history = await startHistory(server, 'recorder', POLICY);
  return {
    faulty,
    history,
    async at(point, work) {
      await faulty.arm(point);
      const done = await work();
      await server.ended();
      await server.start();
      return done;
    },
    async endOf(id = '') {
      const call = await server.client.invocations.wait(id, { limitMs: 20_000 });
      return [call.state, ...call.attempts.map(({ number, end }) => `${number} ${end}`)].join(', ');
    },
    async takeFailed() {
      const items = await server.client.queues.lease(DEFAULT_NAMESPACE, FAILED, { max: 100 });
      if (items.length > 0) {
        const receipts = items.map(({ receipt }) => receipt);
        await server.client.queues.ack(DEFAULT_NAMESPACE, FAILED, receipts);
      }
      return items.map(({ origin }) => origin?.of ?? '').toSorted();
    },
  };
}

async function checkAccepting({ faulty, history, at, endOf }: Steps): Promise<void> {
  const once = () => faulty.server.client.invocations.submit({ function: 'recorder', idempotencyKey: 'once' });
  const list = async () => (await faulty.server.client.invocations.list({})).invocations;

  // Nothing was on disk, and nobody was told that it is.
  expect(await at('enqueue:before', () => history.submit({}))).toBeUndefined();
  expect(await list()).toEqual([]);

  // It was on disk, and nobody was told: it is made all the same, and the same key finds it.
  await expect(at('enqueue:after', () => once().catch(() => 'cut off'))).resolves.toBe('cut off');
  const again = await once();
  expect(again.duplicate).toBe(true);
  expect(await endOf(again.id)).toBe('succeeded, 1 succeeded');
  expect(await list()).toHaveLength(1);
}

async function checkAttempts({ history, at, endOf }: Steps): Promise<void> {
  const submit = (path: string) => () => history.submit({ path });
  const numbers = async (id: string | undefined) =>
    (await history.seen()).filter((one) => one.id === id && one.step !== 'begun').map(({ attempt }) => attempt);

  const leased = await at('lease:after', submit('/'));
  expect(await endOf(leased)).toBe('succeeded, 1 lost, 2 succeeded');
  expect(await numbers(leased)).toEqual([2]);

  const answered = await at('settle-succeeded:before', submit('/'));
  expect(await endOf(answered)).toBe('succeeded, 1 lost, 2 succeeded');
  expect(await numbers(answered)).toEqual([1, 2]);

  const settled = await at('settle-succeeded:after', submit('/'));
  expect(await endOf(settled)).toBe('succeeded, 1 succeeded');
  expect(await numbers(settled)).toEqual([1]);

  const failed = await at('settle-retry:before', submit('/?fail=1'));
  expect(await endOf(failed)).toBe('succeeded, 1 lost, 2 succeeded');

  const retried = await at('settle-retry:after', submit('/?fail=1'));
  expect(await endOf(retried)).toBe('succeeded, 1 failed, 2 succeeded');
}

async function checkDeadLetters(steps: Steps): Promise<void> {
  const { faulty, history, at, endOf, takeFailed } = steps;
  const { server } = faulty;
  const submit = () => history.submit({ path: '/?fail=99' });

  // It is made once more, as nobody wrote down that it had failed for the last time.
  const unwritten = await at('settle-dead:before', submit);
  expect(await endOf(unwritten)).toBe('dead, 1 failed, 2 lost, 3 failed');
  const written = await at('settle-dead:after', submit);
  expect(await endOf(written)).toBe('dead, 1 failed, 2 failed');
  const ids = [unwritten ?? '', written ?? ''].toSorted();
  // Its outcome was sent on in the same commit.
  expect(await takeFailed()).toEqual(ids);

  const redrive = () => server.client.deadLetters.redrive({ ids }).catch(() => 'cut off');
  const open = async () => {
    const letters = await Promise.all(ids.map((id) => server.client.deadLetters.get(id)));
    return letters.filter(({ dead }) => dead?.redrivenAs === undefined).length;
  };
  expect(await at('redrive:before', redrive)).toBe('cut off');
  expect(await open()).toBe(2);
  expect(await at('redrive:between', redrive)).toBe('cut off');
  expect(await open()).toBe(1);
  // Only the other one: neither is redriven twice.
  expect(await at('redrive:after', redrive)).toBe('cut off');
  expect(await open()).toBe(0);
  expect(await server.client.deadLetters.redrive({ ids })).toMatchObject({ count: 0, skipped: 2 });
  const all = async () => (await server.client.invocations.list({ limit: 1000 })).invocations;
  let redriven: InvocationResource[] = [];
  do {
    await sleep(20);
    redriven = (await all()).filter(({ origin, state }) => origin?.kind === 'redrive' && state === 'dead');
  } while (redriven.length < 2);
  expect(redriven.map(({ origin }) => origin?.of ?? '').toSorted()).toEqual(ids);
  expect(await takeFailed()).toEqual(redriven.map(({ id }) => id).toSorted());
}

async function checkCancelling({ faulty, at, endOf }: Steps): Promise<void> {
  const { server } = faulty;
  const [one, other] = await Promise.all(
    [1, 2].map(() => server.client.invocations.submit({ function: 'recorder', delay: '1h' })),
  );
  const cancel = (id: string | undefined) => () => server.client.invocations.cancel(id ?? '').catch(() => 'cut off');
  expect(await at('cancel:before', cancel(one?.id))).toBe('cut off');
  expect((await server.client.invocations.get(one?.id ?? '')).state).toBe('queued');
  expect(await at('cancel:after', cancel(other?.id))).toBe('cut off');
  expect(await endOf(other?.id)).toBe('cancelled');
}

async function checkAll(env: Readonly<Record<string, string>>): Promise<void> {
  await using faulty = await startFaultyServer(env);
  const steps = await startSteps(faulty);
  await checkAccepting(steps);
  await checkAttempts(steps);
  await checkDeadLetters(steps);
  await checkCancelling(steps);
  await steps.history.settled();
  expect(await steps.history.violations()).toEqual([]);
}

const TITLE =
  '2, 3: a server killed at each step before and after it is on disk loses nothing, ends every call once and makes none again without need (A1, A2, A3)';

describe('calls in a file of SQLite', () => {
  test(TITLE, () => checkAll({}), 90_000);
});

describeWithNats('calls on NATS', () => {
  test(
    TITLE,
    async () => {
      await using nats = await startNats();
      await checkAll({ EBB_QUEUE: 'nats', EBB_NATS_URL: nats.url });
    },
    90_000,
  );

  test('2: a server killed after any one of the writes that a dead letter takes loses neither it nor its outcome, and sends that once (A1, A2)', async () => {
    await using nats = await startNats();
    await using proxy = await createTcpProxy(nats.port);
    const env = { EBB_QUEUE: 'nats', EBB_NATS_URL: `nats://127.0.0.1:${proxy.port}` };
    await using faulty = await startFaultyServer(env);
    const { server } = faulty;
    const { history, takeFailed, endOf } = await startSteps(faulty);
    const openCalls = async () => {
      const { invocations } = await server.client.invocations.list({});
      return invocations.filter(({ state, origin }) => !origin && (state === 'queued' || state === 'running'));
    };
    const failed: string[] = [];
    for (let writes = 0; writes < WRITES_OF_A_DEAD_LETTER; writes += 1) {
      proxy.dropAfter(`HPUB ebb.${server.file.installation}.`, writes);
      const submitting = history.submit({ path: '/?status=400&fail=99' });
      while (!proxy.isDropping) await sleep(5);
      // What got through is dealt with before the server is gone.
      await sleep(50);
      await server.kill();
      proxy.heal();
      await submitting;
      await server.start();
      // Also the one of which nobody was told that it is accepted.
      while ((await openCalls()).length > 0) await sleep(20);
      failed.push(...(await takeFailed()));
    }
    await sleep(100);
    failed.push(...(await takeFailed()));
    const dead = (await server.client.deadLetters.list()).invocations.map(({ id }) => id);
    expect(failed.toSorted()).toEqual(dead.toSorted());
    // The first was never written, the others were.
    expect(dead).toHaveLength(WRITES_OF_A_DEAD_LETTER - 1);
    for (const id of dead) expect(await endOf(id)).toMatch(/^dead, (?:1 failed|1 lost, 2 failed)$/);
    expect(await history.violations()).toEqual([]);
  }, 60_000);
});
