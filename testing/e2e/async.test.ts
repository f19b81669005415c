import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, test } from 'vitest';
import { startHistory } from '../harness/history.ts';
import { startTestServer } from '../harness/server.ts';

test('A2, A3: calls are made, tried again with the next number, and end once each', async () => {
  await using server = await startTestServer({ engine: 'process' });
  const history = await startHistory(server, 'recorder', {
    async: { retry: { attempts: 3, minWait: '20ms', maxWait: '50ms' } },
  });
  const good = await history.submit({ body: 'hello' });
  const again = await history.submit({ path: '/?fail=2', body: 'hello' });
  const bad = await history.submit({ path: '/?fail=9' });
  const wrong = await history.submit({ path: '/?fail=1&status=404' });
  await history.settled();
  // By itself: an instance that ends takes all its calls along.
  const crashing = await history.submit({ path: '/?crash=1' });
  const settled = await history.settled();
  expect(await history.violations()).toEqual([]);
  const of = (id: string | undefined) => settled.find((one) => one.id === id);
  expect(of(good)).toMatchObject({ state: 'succeeded', attempts: [{ number: 1, end: 'succeeded', status: 200 }] });
  expect(of(again)?.attempts.map(({ end }) => end)).toEqual(['failed', 'failed', 'succeeded']);
  expect(of(bad)).toMatchObject({ state: 'dead', dead: { reason: 'attempts' } });
  expect(of(crashing)?.attempts[0]).toMatchObject({ end: 'failed', errorCode: 'INSTANCE_CRASHED' });
  expect(of(wrong)).toMatchObject({ state: 'dead', dead: { reason: 'status' } });
  const answer = await server.client.invocations.result(again ?? '');
  expect(await answer.body.text()).toBe('5 bytes at attempt 3');
});

test('with gateway processes: calls are made, cancelled while they run, and buried with their function', async () => {
  await using server = await startTestServer({ engine: 'process', args: ['--gateways', '1'] });
  const history = await startHistory(server, 'recorder', { async: { concurrency: 2 } });
  const { invocations, functions, versions } = server.client;

  const running = (await history.submit({ path: '/?slow=1' })) ?? '';
  while ((await history.seen()).length === 0) await sleep(10);
  const cancelled = await invocations.cancel(running);
  expect(cancelled).toMatchObject({ state: 'cancelled', attempts: [{ number: 1, end: 'cancelled' }] });
  const other = (await history.submit({ path: '/?slow=1' })) ?? '';
  while (!(await history.seen()).some(({ id }) => id === other)) await sleep(10);
  const takeBack = () => fetch(`${server.url}/async-function/${other}`, { method: 'DELETE' });
  expect((await takeBack()).status).toBe(202);
  expect((await invocations.get(other)).state).toBe('cancelled');
  expect((await takeBack()).status).toBe(409);
  await history.submit({ path: '/?fail=1' });
  await history.settled();
  expect(await history.violations()).toEqual([]);

  // A version that a queued call names stays.
  await invocations.submit({ function: 'recorder@1', delay: '1h' });
  await startHistory(server, 'recorder', { memory: '200Mi', async: { concurrency: 2 } });
  await expect(versions.remove({ namespace: DEFAULT_NAMESPACE, name: 'recorder' }, 1)).rejects.toMatchObject({
    code: 'VERSION_IN_USE',
  });
  // Two run, the others wait for them; then there is nobody to call.
  const left = await Promise.all(Array.from({ length: 5 }, () => history.submit({ path: '/?ms=1500' })));
  const begun = async () =>
    (await history.seen()).filter(({ id, step }) => step === 'begun' && left.includes(id)).length;
  while ((await begun()) < 2) await sleep(10);
  await functions.remove({ namespace: DEFAULT_NAMESPACE, name: 'recorder' });
  const ended = await Promise.all(left.map((id) => invocations.wait(id ?? '', { limitMs: 20_000 })));
  const states = ended.map(({ state, dead }) => dead?.reason ?? state).toSorted();
  expect(states).toEqual(['gone', 'gone', 'gone', 'succeeded', 'succeeded']);
});

test('32: poison messages that end their instances hold up neither other functions nor good calls behind them', async () => {
  await using server = await startTestServer({ engine: 'process' });
  const quick = { retry: { attempts: 2, minWait: '10ms', maxWait: '50ms' } };
  // One call an instance: one that ends it takes nobody else along.
  const poisoned = await startHistory(server, 'poisoned', { concurrency: 1, scale: { max: 2 }, async: quick });
  const healthy = await startHistory(server, 'healthy', { async: quick });
  for (let i = 0; i < 2; i += 1) await poisoned.submit({ path: '/?crash=99' });
  for (let i = 0; i < 20; i += 1) await poisoned.submit({ path: '/?fail=99' });
  const behind = await poisoned.submit({ path: '/' });
  for (let i = 0; i < 10; i += 1) await healthy.submit({ path: '/' });
  expect((await healthy.settled()).every(({ state }) => state === 'succeeded')).toBe(true);
  // Starts are held back for a moment after each instance that ended; that counts against no call.
  const settled = await poisoned.settled(30_000);
  expect(settled.find(({ id }) => id === behind)).toMatchObject({ state: 'succeeded' });
  expect(settled.filter(({ id }) => id !== behind).map(({ dead }) => dead?.reason)).toEqual(Array(22).fill('attempts'));
  expect([...(await poisoned.violations()), ...(await healthy.violations())]).toEqual([]);
});
