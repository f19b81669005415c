import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { newItem } from '../../../../../testing/conformance/queue-items.ts';
import { describeWithNats } from '../../../../../testing/harness/nats.ts';
import { startNats } from '../../../../../testing/services/nats.ts';
import type { Enqueued, Queue } from '../queue.ts';
import { GONE } from './encode-held.ts';
import { createNatsQueue, type NatsQueueOptions } from './nats-queue.ts';
import { createSubjects } from './subjects.ts';

const LANE = 'acme/resize';

const open = (servers: string, more: Partial<NatsQueueOptions> = {}): Promise<Queue> =>
  createNatsQueue({ servers, installation: 'server', timeoutMs: 1000, lookEveryMs: 50, ...more });

const gone = { headers: headers() };
gone.headers.set('Ebb', GONE.head);

/** Changes streams behind the back of a queue. */
async function withManager(servers: string, work: (jsm: JetStreamManager) => Promise<unknown>): Promise<void> {
  const nc = await connect({ servers });
  await work(await jetstreamManager(nc));
  await nc.close();
}

/** A logger that keeps what it is told. */
function keep(lines: string[]): NatsQueueOptions['logger'] {
  const note = (_: unknown, message?: string) => lines.push(message ?? String(_));
  return { info: note, warn: note, error: note } as unknown as NatsQueueOptions['logger'];
}

describeWithNats('the NATS server of a queue', () => {
  test('what keeps a queue from being opened is said in one sentence, without the password', async () => {
    await using plain = await startNats({ jetstream: false });
    await expect(open(plain.url)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: `the NATS server at 127.0.0.1:${plain.port} has no JetStream; add a "jetstream" block to its configuration`,
    });
    await using small = await startNats({ maxPayloadBytes: 65_536 });
    await expect(open(small.url)).rejects.toMatchObject({ message: expect.stringContaining('"max_payload"') });
    await using closed = await startNats({ user: 'ebb', password: 'right' });
    const wrong = closed.url.replace('right', 'wrong-secret');
    const refusal = await open(wrong).catch((error: unknown) => String(error));
    expect(refusal).toContain(`no NATS server can be used at 127.0.0.1:${closed.port}`);
    expect(refusal).not.toContain('wrong-secret');
    await using _opened = await open(closed.url);
    await expect(open('nats://127.0.0.1:1')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  test('its owner is told when it may lose accepted calls at a power failure', async () => {
    await using nats = await startNats();
    const lines: string[] = [];
    await using _queue = await open(nats.url, { logger: keep(lines) });
    expect(lines).toEqual([expect.stringContaining('"sync_interval: always"')]);
  });

  test('a stream that would drop calls is refused', async () => {
    await using nats = await startNats();
    await withManager(nats.url, (jsm) => jsm.streams.add({ name: 'EBB_server', subjects: ['ebb.server.>'] }));
    await expect(open(nats.url)).rejects.toMatchObject({
      message:
        'the NATS stream "EBB_server" has "discard: old", which must be "new" so that it loses nothing; change or remove the stream',
    });
  });

  test('without space left nothing is accepted falsely, and all is well once there is some again (A1, case 7)', async () => {
    await using nats = await startNats({ maxStoreBytes: 2 ** 20 });
    await using queue = await open(nats.url);
    const body = { kind: 'bytes', bytes: new Uint8Array(32_000).fill(7) } as const;
    const accepted: string[] = [];
    let refusal: unknown;
    for (let index = 0; index < 100 && refusal === undefined; index += 1) {
      const answer: readonly Enqueued[] | undefined = await queue
        .enqueue([newItem(`i${index}`, { body })])
        .catch((error: unknown) => {
          refusal = error;
          return undefined;
        });
      if (answer) accepted.push(`i${index}`);
    }
    expect(refusal).toMatchObject({ code: 'STORAGE_FULL' });
    expect(await queue.count('acme')).toMatchObject({ queued: accepted.length });
    await using other = await open(nats.url);
    expect((await other.list({ namespace: 'acme', limit: 100 })).map(({ id }) => id)).toEqual(accepted.toReversed());
    const request = { lane: LANE, max: 5, now: 2000, untilAt: 9000, owner: 'one' };
    await expect(queue.lease(request)).rejects.toMatchObject({ code: 'STORAGE_FULL' });

    await nats.kill();
    await nats.start({ maxStoreBytes: 2 ** 22 });
    const { leases } = await queue.lease(request);
    expect(leases.map(({ record }) => record.id)).toEqual(accepted.slice(0, 5));
    expect(await queue.enqueue([newItem('more', { body })])).toEqual([{ kind: 'accepted', id: 'more' }]);
  });

  test('a stream with a limit refuses new calls while there is room to work off the ones it has (A1, A2, case 7)', async () => {
    await using nats = await startNats();
    await (await open(nats.url))[Symbol.asyncDispose]();
    await withManager(nats.url, (jsm) => jsm.streams.update('EBB_server', { max_bytes: 2 ** 20 }));
    await using queue = await open(nats.url);
    let accepted = 0;
    const submit = async (): Promise<void> => {
      for (; ; accepted += 1) await queue.enqueue([newItem(`i${accepted}`)]);
    };
    await expect(submit()).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(accepted).toBeGreaterThan(100);
    for (;;) {
      const { leases } = await queue.lease({ lane: LANE, max: 50, now: 2000, untilAt: 9000, owner: 'one' });
      if (leases.length === 0) break;
      const next = { kind: 'succeeded', result: { status: 200, headers: [], body: { kind: 'none' } } } as const;
      await queue.settle(leases.map(({ receipt }) => ({ receipt, now: 3000, next })));
    }
    expect(await queue.count('acme')).toMatchObject({ queued: 0, running: 0, succeeded: accepted });
    await queue.forget({ succeededBefore: 9e12, cancelledBefore: 0, deadBefore: 0 }, 4000, 100);
    await expect
      .poll(() => queue.enqueue([newItem('more')]).catch(() => []))
      .toEqual([{ kind: 'accepted', id: 'more' }]);
  });

  test('what is over can be forgotten although there is no space left, and makes some', async () => {
    await using nats = await startNats({ maxStoreBytes: 2 ** 20 });
    await using queue = await open(nats.url);
    const body = { kind: 'bytes', bytes: new Uint8Array(32_000).fill(7) } as const;
    await queue.enqueue(['a', 'b'].map((id) => newItem(id, { body })));
    for (const id of ['a', 'b']) await queue.cancel(id, { now: 2000, message: 'no' });
    let refusal: unknown;
    for (let index = 0; refusal === undefined; index += 1) {
      const small = newItem(`i${index}`, {
        body: { kind: 'bytes', bytes: body.bytes.subarray(0, 32 * (index % 1000)) },
      });
      await queue.enqueue([small]).catch((error: unknown) => {
        refusal = error;
      });
    }
    expect(refusal).toMatchObject({ code: 'STORAGE_FULL' });
    expect(await queue.forget({ succeededBefore: 0, cancelledBefore: 9e12, deadBefore: 0 }, 4000, 10)).toBe(2);
    await using other = await open(nats.url);
    expect(await other.get('a')).toBeUndefined();
    expect(await other.enqueue([newItem('more')])).toEqual([{ kind: 'accepted', id: 'more' }]);
  });

  test('what is left of a forgotten call does not keep its id from being taken again, nor comes back', async () => {
    await using nats = await startNats();
    const subjects = createSubjects('server');
    await using queue = await open(nats.url);
    await queue.enqueue([newItem('a'), newItem('b')]);
    // As a server leaves it that dies while it forgets.
    await withManager(nats.url, (jsm) =>
      Promise.all(['a', 'b'].map((id) => jsm.jetstream().publish(subjects.state(id), GONE.body, gone))),
    );
    await expect.poll(() => queue.get('a')).toBeUndefined();
    await using other = await open(nats.url);
    expect(await other.count('acme')).toMatchObject({ queued: 0 });
    expect(await other.enqueue([newItem('a', { path: '/new' })])).toEqual([{ kind: 'accepted', id: 'a' }]);
    const { leases } = await other.lease({ lane: LANE, max: 9, now: 2000, untilAt: 9000, owner: 'one' });
    expect(leases.map(({ record }) => [record.id, record.path])).toEqual([['a', '/new']]);
    await using third = await open(nats.url);
    expect((await third.list({ namespace: 'acme', limit: 9 })).map(({ id, state }) => [id, state])).toEqual([
      ['a', 'running'],
    ]);
  });

  test('a message that cannot be read is set aside with a word in the log, and holds up no other call', async () => {
    await using nats = await startNats();
    const subjects = createSubjects('server');
    await using first = await open(nats.url);
    await first.enqueue(['a', 'b', 'c', 'd'].map((id) => newItem(id)));
    const spoil = async (jsm: JetStreamManager) => {
      const js = jsm.jetstream();
      const { header } = (await jsm.streams.getMessage('EBB_server', { last_by_subj: subjects.item('a') })) ?? {};
      if (!header) throw new Error('the message is not there');
      const cut = headers();
      cut.set('Ebb', header.get('Ebb'));
      await js.publish(subjects.item('a'), 'cut', { headers: cut });
      const nonsense = headers();
      nonsense.set('Ebb', '{"state":');
      await js.publish(subjects.item('b'), '', { headers: nonsense });
      await js.publish(subjects.state('c'), '', { headers: nonsense });
    };
    await withManager(nats.url, spoil);
    const lines: string[] = [];
    await using queue = await open(nats.url, { logger: keep(lines) });
    const ask = { lane: LANE, max: 9, now: 2000, untilAt: 9000, owner: 'one' };
    const leases = [...(await queue.lease(ask)).leases, ...(await queue.lease(ask)).leases];
    expect(leases.map(({ record }) => record.id)).toEqual(['d']);
    expect((await queue.list({ namespace: 'acme', limit: 9 })).map(({ id }) => id)).toEqual(['d']);
    for (const id of ['a', 'b', 'c']) expect(await queue.get(id)).toBeUndefined();
    expect(lines.filter((line) => line.includes('cannot be read')).length).toBeGreaterThanOrEqual(3);
  });

  test('when the stream is removed under it the queue says so, and goes on with an empty one', async () => {
    await using nats = await startNats();
    const lines: string[] = [];
    await using queue = await open(nats.url, { logger: keep(lines) });
    await queue.enqueue([newItem('a')]);
    await withManager(nats.url, (jsm) => jsm.streams.delete('EBB_server'));
    await expect.poll(() => queue.count('acme').then(({ queued }) => queued), { timeout: 5000 }).toBe(0);
    expect(lines.join()).toContain('its stream was removed');
    expect(await queue.enqueue([newItem('a')])).toEqual([{ kind: 'accepted', id: 'a' }]);
    expect((await queue.get('a'))?.state).toBe('queued');
  });
});
