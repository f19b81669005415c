import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startHistory } from '../harness/history.ts';
import { describeWithNats } from '../harness/nats.ts';
import { startTestServer } from '../harness/server.ts';
import { startNats } from '../services/nats.ts';

const QUICK = { retry: { attempts: 4, minWait: '20ms', maxWait: '100ms' } };
const PATHS = ['/', '/?fail=1', '/?ms=30', '/?fail=9', '/?ms=10&fail=2'];

describeWithNats('a whole server with its calls on NATS', () => {
  test('loses nothing that it accepted and ends every call once when NATS, and then it, is killed (A1, A2, A3, case 2)', async () => {
    await using nats = await startNats();
    const env = { EBB_QUEUE: 'nats', EBB_NATS_URL: nats.url };
    await using server = await startTestServer({ engine: 'process', env });
    expect(server.output()).toContain('sync_interval: always');
    const history = await startHistory(server, 'recorder', { async: QUICK });
    const until = { isOver: false };
    let count = 0;
    const submitters = Array.from({ length: 4 }, async () => {
      while (!until.isOver) {
        count += 1;
        await history.submit({ path: PATHS[count % PATHS.length] ?? '/', body: 'x'.repeat(count % 50) });
        await sleep(5);
      }
    });
    // Kills come in the middle of work, however slow the machine.
    await expect.poll(() => count, { timeout: 30_000 }).toBeGreaterThan(30);
    await nats.kill();
    await sleep(300);
    await nats.start();
    await sleep(300);
    await server.kill();
    until.isOver = true;
    await Promise.all(submitters);
    await server.start();

    const settled = await history.settled(30_000);
    expect(settled.length).toBeGreaterThan(20);
    expect(await history.violations()).toEqual([]);
    const failing = settled.filter(({ path }) => path === '/?fail=9');
    expect(failing.every(({ state, dead }) => state === 'dead' && dead?.reason === 'attempts')).toBe(true);
    expect(settled.filter((one) => !failing.includes(one)).every(({ state }) => state === 'succeeded')).toBe(true);
  });

  test('a successor takes over, and no call is made twice', async () => {
    await using nats = await startNats();
    const env = { EBB_QUEUE: 'nats', EBB_NATS_URL: nats.url };
    await using server = await startTestServer({ engine: 'process', env });
    const history = await startHistory(server, 'recorder', { async: QUICK });
    for (let index = 0; index < 5; index += 1) await history.submit({ path: '/?ms=1500' });
    while ((await history.seen()).length < 5) await sleep(10);
    await history.submit({ path: '/', delay: '2s' });
    await server.takeOver();
    await history.submit({ path: '/' });
    const settled = await history.settled(30_000);
    expect(settled.map(({ attempts }) => attempts.length)).toEqual(Array(7).fill(1));
    expect(await history.violations()).toEqual([]);
  });
});
