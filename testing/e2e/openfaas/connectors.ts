import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEFAULT_NAMESPACE, type Gateway, jsonOf, type Status } from './gateway.ts';

/** A function as connectors name it. */
type Address = `${string}.${string}`;

/** What connectors do, by public requests only: list, map topics to functions, post. No connector is run. */
export function describeConnectors(gateway: () => Gateway): void {
  describe('connectors', () => define(gateway));
}

/** Which functions of all namespaces want a topic, as a connector finds out. */
async function topicsOf(gateway: Gateway): Promise<ReadonlyMap<string, readonly Address[]>> {
  const topics = new Map<string, Address[]>();
  for (const namespace of jsonOf(await gateway.system('GET', '/system/namespaces')) as string[]) {
    const answer = await gateway.system('GET', `/system/functions?namespace=${namespace}`);
    for (const { name, annotations } of jsonOf(answer) as Status[]) {
      for (const topic of (annotations['topic'] ?? '').split(',').filter((one) => one !== '')) {
        const known = topics.get(topic) ?? [];
        topics.set(topic, [...known, `${name}.${namespace}`]);
      }
    }
  }
  return topics;
}

function define(gateway: () => Gateway): void {
  let other = '';
  const orders = () => gateway().name('topic-orders');
  const nightly = () => gateway().name('topic-nightly');
  beforeAll(async () => {
    other = await gateway().makeNamespace('topics');
    const annotations = { topic: 'orders,payments' };
    await Promise.all([
      gateway().serve({ service: orders(), envProcess: 'env', annotations }),
      gateway().serve({ service: orders(), namespace: other, envProcess: 'env', annotations: { topic: 'orders' } }),
      gateway().deploy({
        service: nightly(),
        envProcess: 'env',
        annotations: { topic: 'cron-function', schedule: '0 3 * * *' },
      }),
    ]);
  });
  afterAll(async () => {
    await gateway().remove(orders());
    await gateway().remove(nightly());
    await gateway().remove(orders(), other);
  });

  test('topics of all namespaces are found, and a message reaches each function that wants it', async () => {
    const topics = await topicsOf(gateway());
    const wanting = topics.get('orders') ?? [];
    expect(wanting).toContain(`${orders()}.${DEFAULT_NAMESPACE}`);
    expect(wanting).toContain(`${orders()}.${other}`);
    expect(topics.get('payments')).toEqual([`${orders()}.${DEFAULT_NAMESPACE}`]);
    const headers = { 'x-topic': 'orders', 'x-connector': 'connector-sdk', 'content-type': 'application/json' };
    for (const address of wanting) {
      const answer = await gateway().invoke(address, { method: 'POST', body: '{"id":7}', headers });
      expect(answer.status, address).toBe(200);
      expect(answer.text).toContain('Http_X_Topic=orders\n');
      expect(answer.text).toContain('Http_X_Connector=connector-sdk\n');
      expect(answer.text).toContain('Http_Content_Type=application/json\n');
    }
  });

  test('a message that is handed in for later carries the same headers', async () => {
    const own = gateway().own;
    if (!own) return;
    const headers = { 'x-topic': 'payments', 'x-connector': 'connector-sdk' };
    const path = `/async-function/${orders()}.${DEFAULT_NAMESPACE}`;
    const answer = await gateway().open(path, { method: 'POST', body: 'paid', headers });
    expect(answer.status).toBe(202);
    const id = String(answer.headers['x-call-id']);
    expect((await own.client.invocations.wait(id, { limitMs: 10_000 })).state).toBe('succeeded');
    const result = await own.ebbOk(['invocations', 'result', id]);
    expect(result).toContain('Http_X_Topic=payments\n');
    expect(result).toContain('Http_X_Connector=connector-sdk\n');
  });

  test('schedule is kept as it was written, and a tick without a body reaches the function', async () => {
    const { annotations } = await gateway().ready(nightly());
    expect(annotations).toMatchObject({ topic: 'cron-function', schedule: '0 3 * * *' });
    const headers = { 'x-topic': 'cron-function', 'x-connector': 'cron-connector' };
    const answer = await gateway().invoke(`${nightly()}.${DEFAULT_NAMESPACE}`, { method: 'POST', headers });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('Http_X_Connector=cron-connector\n');
  });
}
