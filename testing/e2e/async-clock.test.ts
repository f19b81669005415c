import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startFaultyServer } from '../harness/faulty-server.ts';
import { startHistory } from '../harness/history.ts';
import { describeWithNats } from '../harness/nats.ts';
import { startNats } from '../services/nats.ts';

const HOUR_MS = 3_600_000;
/** Longer than leases that ran out are looked for. */
const A_SWEEP_MS = 5_500;

/** Steps the clock of a whole server while calls wait and run. */
async function stepClock(env: Readonly<Record<string, string>>): Promise<void> {
  await using faulty = await startFaultyServer(env);
  const history = await startHistory(faulty.server, 'recorder', { async: { retry: { attempts: 2, minWait: '10ms' } } });
  const ids = new Map<string, string | undefined>();
  const submit = async (name: string, call: Parameters<typeof history.submit>[0]) =>
    ids.set(name, await history.submit(call));
  await submit('runs all the time', { path: `/?ms=${3 * A_SWEEP_MS}` });
  await submit('is due in half an hour', { path: '/', delay: '30m' });
  await submit('is due in a day', { path: '/', delay: '1d' });
  for (const offset of [HOUR_MS, -HOUR_MS]) {
    await submit(`runs before ${offset}`, { path: `/?ms=${A_SWEEP_MS}` });
    while ((await history.seen()).every(({ id }) => id !== ids.get(`runs before ${offset}`))) await sleep(20);
    await faulty.setOffset(offset);
    await sleep(100);
    await submit(`comes after ${offset}`, { path: '/' });
    await submit(`fails once after ${offset}`, { path: '/?fail=1' });
    await sleep(A_SWEEP_MS);
  }
  await faulty.setOffset(0);
  const later = ids.get('is due in a day') ?? '';
  expect((await faulty.server.client.invocations.get(later)).state).toBe('queued');
  await faulty.server.client.invocations.cancel(later);
  const settled = await history.settled(30_000);
  expect(await history.violations()).toEqual([]);
  const names = new Map([...ids].map(([name, id]) => [id, name]));
  const ends = settled.map(({ id, attempts }) => [names.get(id), attempts.map(({ end }) => end).join(' ')]);
  expect(Object.fromEntries(ends)).toEqual({
    'runs all the time': 'succeeded',
    'is due in half an hour': 'succeeded',
    'is due in a day': '',
    ...Object.fromEntries(
      [HOUR_MS, -HOUR_MS].flatMap((offset) => [
        [`runs before ${offset}`, 'succeeded'],
        [`comes after ${offset}`, 'succeeded'],
        [`fails once after ${offset}`, 'failed succeeded'],
      ]),
    ),
  });
}

const TITLE =
  '35: a clock stepped an hour each way while calls wait and run loses none, makes none that runs again, and begins what is due by it (A2, A3)';

describe('calls in a file of SQLite', () => {
  test(TITLE, () => stepClock({}), 60_000);
});

describeWithNats('calls on NATS', () => {
  test(
    TITLE,
    async () => {
      await using nats = await startNats();
      await stepClock({ EBB_QUEUE: 'nats', EBB_NATS_URL: nats.url });
    },
    60_000,
  );
});
