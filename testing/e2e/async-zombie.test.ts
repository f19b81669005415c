import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startFaultyServer } from '../harness/faulty-server.ts';
import { startHistory } from '../harness/history.ts';
import { describeWithNats } from '../harness/nats.ts';
import { startNats } from '../services/nats.ts';

/** A server that was replaced stands still until its lease is over, and then says how its attempt ended. */
async function wakeZombie(env: Readonly<Record<string, string>>): Promise<void> {
  await using faulty = await startFaultyServer(env);
  const { server } = faulty;
  const history = await startHistory(server, 'recorder', { async: { onSuccess: [{ queue: 'done' }] } });
  const saw = async (attempt: number, step: string) => {
    while (!(await history.seen()).some((one) => one.attempt === attempt && one.step === step)) await sleep(20);
  };
  const id = await history.submit({ path: '/?ms=2000' });
  await saw(1, 'begun');
  const zombie = await server.takeOver();
  process.kill(zombie.pid, 'SIGSTOP');
  await saw(1, 'answered');
  // For the server that goes on; the one that stands still knows nothing of it.
  await faulty.setOffset(60_000);
  await saw(2, 'begun');
  process.kill(zombie.pid, 'SIGCONT');

  const [call] = await history.settled();
  expect(call?.id).toBe(id);
  expect(call?.attempts.map(({ number, end }) => `${number} ${end}`)).toEqual(['1 lost', '2 succeeded']);
  expect(await zombie.exited).toBe(0);
  expect(await history.violations()).toEqual([]);
  const sent = (await server.client.invocations.list({})).invocations.filter(({ origin }) => origin?.of === id);
  expect(sent).toHaveLength(1);
}

const TITLE =
  '37, 38: a server that stood still past its lease settles nothing when it goes on: the attempt made instead counts, and is sent on once (A2, A4)';

describe('calls in a file of SQLite', () => {
  test(TITLE, () => wakeZombie({}), 60_000);
});

describeWithNats('calls on NATS', () => {
  test(
    TITLE,
    async () => {
      await using nats = await startNats();
      await wakeZombie({ EBB_QUEUE: 'nats', EBB_NATS_URL: nats.url });
    },
    60_000,
  );
});
