import { invocationPageSchema, leasedItemSchema, redrivenSchema, signingKeyResourceSchema } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { startApi } from '../../../../testing/harness/api.ts';
import { queueLane } from '../async/outcome-queues.ts';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const HOME = { namespace: 'openfaas-fn', lane: 'openfaas-fn/resize' };
const json = async (response: Response): Promise<unknown> => response.json();

async function bury(...ids: readonly string[]): Promise<void> {
  await server.queue.enqueue(ids.map((id) => newItem(id, HOME)));
  const { leases } = await server.queue.lease({ lane: HOME.lane, max: 100, now: 2_000, untilAt: 9_000, owner: 'me' });
  await server.queue.settle(
    leases.map(({ receipt }) => ({
      receipt,
      now: 3_000,
      next: { kind: 'dead', reason: 'status', message: 'it answered 400', counts: true },
    })),
  );
}

describe('dead letters', () => {
  test('are listed, shown, redriven and purged', async () => {
    await bury('a1', 'a2', 'a3');
    const page = invocationPageSchema.parse(await json(await server.send('GET', '/v1/dead-letters?function=resize')));
    expect(page.invocations.map(({ id }) => id)).toEqual(['a3', 'a2', 'a1']);
    expect(await json(await server.send('GET', '/v1/dead-letters?reason=expired'))).toMatchObject({ invocations: [] });
    expect(await json(await server.send('GET', '/v1/dead-letters/a1'))).toMatchObject({ dead: { reason: 'status' } });
    const redriven = await json(await server.send('POST', '/v1/dead-letters/redrive', { ids: ['a1'] }));
    expect(redrivenSchema.parse(redriven)).toMatchObject({ count: 1, skipped: 0, calls: [{ id: 'a1' }] });
    expect(await json(await server.send('GET', '/v1/dead-letters?redriven=true'))).toMatchObject({
      invocations: [{ id: 'a1' }],
    });
    expect(await json(await server.send('POST', '/v1/dead-letters/purge', { function: 'resize' }))).toMatchObject({
      count: 3,
    });
    expect((await server.send('GET', '/v1/dead-letters/a1')).status).toBe(404);
  });

  test('say which function they cannot be redriven to', async () => {
    await bury('b1');
    const to = async (name: string) => {
      const response = await server.send('POST', '/v1/dead-letters/redrive', { ids: ['b1'], to: name });
      return [response.status, await response.text()];
    };
    expect(await to('nobody')).toEqual([404, expect.stringContaining('FUNCTION_NOT_FOUND')]);
    expect(await to('a b')).toEqual([400, expect.stringContaining('\\"to\\" is')]);
    expect((await server.send('POST', '/v1/dead-letters/purge', { ids: ['b1'], to: 'resize' })).status).toBe(400);
    expect((await server.send('POST', '/v1/dead-letters/purge', { ids: ['b1'] })).status).toBe(200);
  });

  test.each([
    [{}, '"ids", or "function", or "all": true'],
    [{ reason: 'status' }, '"ids", or "function", or "all": true'],
    [{ all: false }, 'all'],
    [{ ids: [] }, 'ids'],
    [{ ids: ['a'], function: 'resize' }, 'must not be set beside "ids"'],
    [{ ids: ['a'], all: true }, 'must not be set beside "ids"'],
  ])('the selection %j is refused: everything is redriven or purged only where that is said', async (body, message) => {
    for (const verb of ['redrive', 'purge']) {
      const response = await server.send('POST', `/v1/dead-letters/${verb}`, body);
      expect([response.status, await response.text()]).toEqual([
        400,
        expect.stringContaining(JSON.stringify(message).slice(1, -1)),
      ]);
    }
  });

  test('of a namespace that is not there are an error', async () => {
    expect((await server.send('GET', '/v1/dead-letters?namespace=nobody')).status).toBe(404);
    expect((await server.send('POST', '/v1/dead-letters/purge', { all: true, namespace: 'nobody' })).status).toBe(404);
  });
});

describe('queues', () => {
  test('are listed, leased from and acknowledged', async () => {
    const path = '/v1/namespaces/openfaas-fn/queues';
    const target = { kind: 'queue', namespace: 'openfaas-fn', name: 'done' } as const;
    await server.queue.enqueue([newItem('q1', { ...HOME, lane: queueLane('openfaas-fn', 'done'), target })]);
    expect(await json(await server.send('GET', path))).toMatchObject([{ name: 'done', waiting: 1, taken: 0 }]);
    const items = z
      .array(leasedItemSchema)
      .parse(await json(await server.send('POST', `${path}/done/lease`, { max: 5, for: '1m' })));
    expect(items).toMatchObject([{ id: 'q1', attempt: 1 }]);
    const receipts = items.map(({ receipt }) => receipt);
    expect(await json(await server.send('POST', `${path}/done/ack`, { receipts }))).toEqual({ count: 1, late: 0 });
    expect(await json(await server.send('POST', `${path}/done/release`, { receipts }))).toEqual({ count: 0, late: 1 });
    expect(await json(await server.send('GET', path))).toEqual([]);
  });
});

describe('signing keys', () => {
  test('are shown and rotated, and a namespace that is not there has none', async () => {
    const path = '/v1/namespaces/openfaas-fn/signing-key';
    const first = signingKeyResourceSchema.parse(await json(await server.send('GET', path)));
    const second = signingKeyResourceSchema.parse(await json(await server.send('POST', `${path}/rotate`)));
    expect(second.previous?.key).toBe(first.key);
    expect((await server.send('GET', '/v1/namespaces/nobody/signing-key')).status).toBe(404);
  });
});

test('how a call was sent is told without credentials (T2)', async () => {
  await server.queue.enqueue([newItem('sent', { ...HOME, headers: ['A', 'b', 'Authorization', 'Bearer x'] })]);
  expect(await json(await server.send('GET', '/v1/invocations/sent/request'))).toEqual({
    method: 'POST',
    path: '/a?b=c',
    headers: [['A', 'b']],
    leftOut: ['Authorization'],
  });
});

test('case 27: a function whose outcomes would go to a private address is not deployed', async () => {
  const spec = (url: string) => ({ spec: { image: 'example:1', async: { onFailure: [{ queue: 'a' }, { url }] } } });
  const path = '/v1/namespaces/openfaas-fn/functions/mail?probe=false';
  const refused = await server.send('PUT', path, spec('http://169.254.169.254/'));
  expect([refused.status, await json(refused)]).toEqual([
    400,
    expect.objectContaining({ code: 'DESTINATION_REFUSED' }),
  ]);
  expect((await server.send('PUT', path, spec('https://hooks.example/'))).status).toBe(200);
});
