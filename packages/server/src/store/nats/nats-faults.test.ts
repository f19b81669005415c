import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { newItem } from '../../../../../testing/conformance/queue-items.ts';
import { checkHistory, runTraffic } from '../../../../../testing/harness/queue-traffic.ts';
import { createTcpProxy } from '../../../../../testing/harness/tcp-proxy.ts';
import { describeWithNats } from '../../../../../testing/harness/nats.ts';
import { startNats } from '../../../../../testing/services/nats.ts';
import type { Queue } from '../queue.ts';
import { createNatsQueue } from './nats-queue.ts';

const installation = 'faults';
const LANE = 'acme/resize';

const open = (servers: string): Promise<Queue> =>
  createNatsQueue({ servers, installation, timeoutMs: 1000, lookEveryMs: 50 });

describeWithNats('a queue on NATS under faults', () => {
  test('nothing accepted is lost and every call ends once when the NATS server is killed twice in mid traffic (A1, A2)', async () => {
    await using nats = await startNats({ syncAlways: true });
    await using queue = await open(nats.url);
    const fault = async () => {
      for (let round = 0; round < 2; round += 1) {
        await sleep(250);
        await nats.kill();
        await sleep(200);
        await nats.start();
      }
    };
    const history = await runTraffic({ queues: [queue], calls: 2000, fault });
    await using fresh = await open(nats.url);
    await checkHistory(history, fresh);
    await checkHistory(history, queue);
  });

  test('nothing accepted is lost and every call ends once when the NATS server stands still for longer than anybody waits (A1, A2)', async () => {
    await using nats = await startNats();
    await using queue = await open(nats.url);
    const fault = async () => {
      await sleep(250);
      nats.freeze();
      await sleep(2500);
      nats.thaw();
    };
    const history = await runTraffic({ queues: [queue], calls: 1000, fault });
    expect(history.rejections).toBeGreaterThan(0);
    await using fresh = await open(nats.url);
    await checkHistory(history, fresh);
    await checkHistory(history, queue);
  });

  test('a partition that drops everything and heals loses nothing, and ends no call twice (A1, A2, case 38)', async () => {
    await using nats = await startNats();
    await using proxy = await createTcpProxy(nats.port);
    await using near = await open(nats.url);
    await using far = await open(`nats://127.0.0.1:${proxy.port}`);
    const fault = async () => {
      await sleep(250);
      proxy.drop();
      await sleep(2500);
      proxy.heal();
    };
    const history = await runTraffic({ queues: [near, far], calls: 1000, fault });
    expect(history.rejections).toBeGreaterThan(0);
    await using fresh = await open(nats.url);
    await checkHistory(history, fresh);
    await checkHistory(history, near);
  });

  test('two servers on one stream take each call once, and each sees what the other did (A2, A3)', async () => {
    await using nats = await startNats();
    await using one = await open(nats.url);
    await using two = await open(nats.url);
    const history = await runTraffic({ queues: [one, two], calls: 1000, fault: async () => {} });
    expect(history.rejections).toBe(0);
    await sleep(200);
    await checkHistory(history, one);
    await checkHistory(history, two);
    expect(await one.count('acme')).toEqual(await two.count('acme'));
  });

  test('clock steps of an hour each way in mid traffic lose nothing and end no call twice (A2, case 35)', async () => {
    await using nats = await startNats();
    await using queue = await open(nats.url);
    let offset = 0;
    const fault = async () => {
      // It ends where it was latest: a lease is over when the clock says so, and that one is an hour ahead.
      for (const step of [3_600_000, -7_200_000, 7_200_000]) {
        await sleep(150);
        offset += step;
      }
    };
    const now = () => Date.now() + offset;
    const history = await runTraffic({ queues: [queue], calls: 1000, now, fault });
    await checkHistory(history, queue);
  });

  test('a zombie that settles late on another server changes nothing, also before it heard of it (A4, case 38)', async () => {
    await using nats = await startNats();
    // The first never looks what the second does.
    await using first = await createNatsQueue({ servers: nats.url, installation, lookEveryMs: 3_600_000 });
    await first.enqueue([newItem('a')]);
    const ask = { lane: LANE, max: 1, now: 2000, untilAt: 3000, owner: 'first' };
    const [zombie] = (await first.lease(ask)).leases;
    await using second = await open(nats.url);
    expect(await second.reclaim({ now: 3000 })).toEqual([LANE]);
    const [lease] = (await second.lease({ ...ask, now: 3000, untilAt: 9000, owner: 'second' })).leases;
    expect(lease?.attempt).toBe(2);
    const receipt = zombie?.receipt ?? '';
    expect(await first.extend([receipt], 99_000)).toEqual([false]);
    const follow = [newItem('never')];
    expect(await first.settle([{ receipt, now: 3500, next: { kind: 'succeeded' }, follow }])).toEqual([false]);
    const won = { receipt: lease?.receipt ?? '', now: 4000, next: { kind: 'succeeded' } } as const;
    expect(await second.settle([won])).toEqual([true]);
    expect(await first.settle([won])).toEqual([false]);
    expect(await first.get('never')).toBeUndefined();
    expect(await first.get('a')).toEqual(await second.get('a'));
  });

  test('an attempt may be settled by the server that takes over from the one that leased it (A4)', async () => {
    await using nats = await startNats();
    await using first = await open(nats.url);
    await using second = await createNatsQueue({ servers: nats.url, installation, lookEveryMs: 3_600_000 });
    await first.enqueue([newItem('a')]);
    const [lease] = (await first.lease({ lane: LANE, max: 1, now: 2000, untilAt: 3000, owner: 'first' })).leases;
    const settlement = { receipt: lease?.receipt ?? '', now: 2500, next: { kind: 'succeeded' } } as const;
    expect(await second.settle([settlement])).toEqual([true]);
    expect(await first.settle([settlement])).toEqual([false]);
  });

  test('a server whose connection breaks after any write leaves nothing half done for the next (A1, A2, case 33)', async () => {
    for (let writes = 0; writes < 40; writes += 1) {
      await using nats = await startNats();
      await using proxy = await createTcpProxy(nats.port);
      const told: string[] = [];
      {
        await using queue = await createNatsQueue({
          servers: `nats://127.0.0.1:${proxy.port}`,
          installation,
          timeoutMs: 150,
        });
        proxy.dropAfter(`HPUB ebb.${installation}.`, writes);
        for (const step of steps(queue)) {
          const name = await step().catch((error: unknown) => {
            expect(error).toMatchObject({ code: 'STORE_FAILED' });
            return undefined;
          });
          if (name === undefined) break;
          told.push(name);
        }
        proxy.heal();
      }
      await using next = await open(nats.url);
      await checkSteps(next, told);
      if (told.length === STEPS) return;
    }
    throw new Error('the connection never lasted for all steps');
  }, 60_000);
});

const STEPS = 8;
const once = { key: 'once', digest: 'x', untilAt: 99_000 };
const quiet = { key: 'k', order: 'none', throttleMs: 0, debounceMs: 10 } as const;

/** One of everything that takes more than one write. Each names what is certain once it has resolved. */
function steps(queue: Queue): readonly (() => Promise<string>)[] {
  const lease = async () => {
    const request = { lane: LANE, max: 1, now: 2000, untilAt: 9000, owner: 'first' };
    const [first] = (await queue.lease(request)).leases;
    return first?.receipt ?? '';
  };
  return [
    () => queue.enqueue([newItem('a')]).then(() => 'a'),
    () => queue.enqueue([newItem('keyed', { idempotency: once, lane: 'acme/keyed' })]).then(() => 'keyed'),
    () => queue.enqueue([newItem('old', { rules: quiet, lane: 'acme/quiet' })]).then(() => 'old'),
    () => queue.enqueue([newItem('new', { rules: quiet, lane: 'acme/quiet' })]).then(() => 'new'),
    async () => {
      const receipt = await lease();
      const next = { kind: 'dead', reason: 'attempts', message: 'failed', counts: true } as const;
      const follow = [newItem('f1', { lane: 'acme/follow' }), newItem('f2', { lane: 'acme/follow' })];
      await queue.settle([{ receipt, now: 3000, next, follow }]);
      return 'settled';
    },
    () => queue.redrive([{ id: 'a', newId: 'again' }], 4000).then(() => 'redriven'),
    () => queue.purge(['a']).then(() => 'purged'),
    () => queue.enqueue([newItem('last')]).then(() => 'last'),
  ];
}

/** Whatever was told holds, and what was not is there wholly or not at all. */
async function checkSteps(queue: Queue, told: readonly string[]): Promise<void> {
  const label = `after ${told.join(', ') || 'nothing'}`;
  const has = async (id: string) => (await queue.get(id)) !== undefined;
  for (const id of ['keyed', 'new', 'last']) if (told.includes(id)) expect(await has(id), `${id} ${label}`).toBe(true);

  // The same call under the same key is never there twice, and never not at all.
  const [answer] = await queue.enqueue([newItem('keyed2', { idempotency: once, lane: 'acme/keyed' })]);
  const { keyed, keyed2 } = { keyed: await has('keyed'), keyed2: await has('keyed2') };
  expect([keyed, keyed2].filter(Boolean), `one of the key ${label}`).toHaveLength(1);
  expect(answer, label).toEqual(keyed ? { kind: 'duplicate', id: 'keyed' } : { kind: 'accepted', id: 'keyed2' });

  const [old, young] = [await queue.get('old'), await queue.get('new')];
  if (young) expect(old, label).toMatchObject({ state: 'cancelled', cancelled: 'superseded by new' });

  const [f1, f2] = [await has('f1'), await has('f2')];
  expect(f1, `what follows ${label}`).toBe(f2);
  if (told.includes('settled')) expect(f1, label).toBe(true);
  const a = await queue.get('a');
  if (told.includes('purged')) expect(a, label).toBeUndefined();
  else if (told.includes('a') && !told.includes('redriven')) {
    if (a) {
      expect(a.state === 'dead', `settled with what follows ${label}`).toBe(f1);
      expect(await has('again'), `redriven ${label}`).toBe(a.dead?.redrivenAs === 'again');
    }
  }
  if (told.includes('redriven')) expect(await has('again'), label).toBe(true);
}
