import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, test } from 'vitest';
import { startHistory } from '../harness/history.ts';
import { startTestServer } from '../harness/server.ts';

const QUICK = { retry: { attempts: 4, minWait: '20ms', maxWait: '100ms' } };

/** Submits one call after the other until it is told to stop. */
function submitting(submit: (i: number) => Promise<unknown>, width: number) {
  let isStopped = false;
  let count = 0;
  const lanes = Array.from({ length: width }, async () => {
    while (!isStopped) {
      count += 1;
      await submit(count);
      await sleep(2);
    }
  });
  return async () => {
    isStopped = true;
    await Promise.all(lanes);
  };
}

test('2: a server killed again and again loses nothing that it accepted, and ends every call once (A1, A2, A3)', async () => {
  await using server = await startTestServer({ engine: 'process' });
  const history = await startHistory(server, 'recorder', { async: { ...QUICK, onFailure: [{ queue: 'failed' }] } });
  const take = () => server.client.queues.lease(DEFAULT_NAMESPACE, 'failed', { max: 100 });
  const paths = ['/', '/?fail=1', '/?ms=30', '/?fail=9', '/?ms=10&fail=2'];
  for (const runMs of [150, 320, 60, 500]) {
    const stop = submitting(
      (i) => history.submit({ path: paths[i % paths.length] ?? '/', body: 'x'.repeat(i % 50) }),
      4,
    );
    await sleep(runMs);
    await server.kill();
    await stop();
    await server.start();
  }
  const settled = await history.settled(30_000);
  expect(settled.length).toBeGreaterThan(20);
  expect(await history.violations()).toEqual([]);
  const failing = settled.filter(({ path }) => path === '/?fail=9');
  expect(failing.every(({ state, dead }) => state === 'dead' && dead?.reason === 'attempts')).toBe(true);
  expect(settled.filter((one) => !failing.includes(one)).every(({ state }) => state === 'succeeded')).toBe(true);
  // Each of them was written into the dead letters and sent on in one commit.
  const sent: string[] = [];
  for (let items = await take(); items.length > 0; items = await take()) {
    sent.push(...items.map(({ origin }) => origin?.of ?? ''));
  }
  expect(sent.filter((of) => history.accepted.includes(of)).toSorted()).toEqual(failing.map(({ id }) => id).toSorted());
});

test('3: what was answered but not written down when the server died is made again, one number higher, and succeeds once', async () => {
  await using server = await startTestServer({ engine: 'process' });
  const history = await startHistory(server, 'recorder', { async: QUICK });
  const id = await history.submit({ path: '/?linger=3000' });
  while (!(await history.seen()).some(({ step }) => step === 'answered')) await sleep(10);
  await server.kill();
  await server.start();
  const [call] = await history.settled();
  expect(await history.violations()).toEqual([]);
  expect(call?.attempts.map(({ number, end }) => `${number} ${end}`)).toEqual(['1 lost', '2 succeeded']);
  expect((await history.seen()).filter(({ step }) => step === 'answered').map(({ attempt }) => attempt)).toEqual([
    1, 2,
  ]);
  expect(call?.id).toBe(id);
});

test('a server that stops lets short attempts end, and gives long ones back without counting them', async () => {
  await using server = await startTestServer({ engine: 'process', env: { EBB_DRAIN_TIMEOUT: '1s' } });
  const history = await startHistory(server, 'recorder', { async: { retry: { attempts: 1 } } });
  await history.submit({ path: '/?ms=300' });
  await history.submit({ path: '/?slow=1' });
  while ((await history.seen()).length < 2) await sleep(10);
  await server.stop();
  await server.start();
  const settled = await history.settled();
  expect(await history.violations()).toEqual([]);
  expect(settled.map(({ state, attempts }) => [state, ...attempts.map(({ end }) => end)])).toEqual([
    ['succeeded', 'succeeded'],
    ['succeeded', 'platform', 'succeeded'],
  ]);
});

test('a successor makes no call twice: what still runs in the old server is written down by the new one', async () => {
  await using server = await startTestServer({ engine: 'process' });
  const history = await startHistory(server, 'recorder', { async: QUICK });
  for (let i = 0; i < 5; i += 1) await history.submit({ path: '/?ms=4000', body: 'before' });
  while ((await history.seen()).length < 5) await sleep(10);
  const stop = submitting(() => history.submit({ path: '/?ms=5' }), 2);
  const replaced = await server.takeOver();
  await sleep(300);
  await stop();
  const settled = await history.settled();
  expect(await history.violations()).toEqual([]);
  expect(settled.map(({ attempts }) => attempts.length).filter((count) => count !== 1)).toEqual([]);
  expect(settled.every(({ state }) => state === 'succeeded')).toBe(true);
  expect(await replaced.exited).toBe(0);
});
