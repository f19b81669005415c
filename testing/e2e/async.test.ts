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
