import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call } from '../../harness/call.ts';
import { DEFAULT_NAMESPACE, type Gateway, shown } from './gateway.ts';

/** `/function/...` and `/async-function/...`, as far as every gateway has them. */
export function describeInvoking(gateway: () => Gateway): void {
  describe('functions', () => define(gateway));
}

function define(gateway: () => Gateway): void {
  let echo = '';
  let env = '';
  beforeAll(async () => {
    echo = gateway().name('call-echo');
    env = gateway().name('call-env');
    await Promise.all([
      gateway().serve({ service: echo, envProcess: 'cat' }),
      gateway().serve({ service: env, envProcess: 'env' }),
    ]);
  });
  afterAll(async () => {
    for (const name of [echo, env]) await gateway().remove(name);
  });

  /** What a function that prints its environment saw. */
  const seenBy = async (
    rest: string,
    options: Parameters<typeof call>[1] = {},
  ): Promise<ReadonlyMap<string, string>> => {
    const answer = await gateway().invoke(env, { rest, ...options });
    expect(answer.status, shown(answer)).toBe(200);
    return new Map(
      answer.text.split('\n').map((line): [string, string] => {
        const equals = line.indexOf('=');
        return [line.slice(0, equals), line.slice(equals + 1)];
      }),
    );
  };

  describe('calling', () => {
    test('the path behind the name and the query reach the function as they were sent', async () => {
      const seen = await seenBy('/a/b%2Fc/?x=1&y=%20z');
      expect(seen.get('Http_Path')).toBe('/a/b%2Fc/');
      expect(seen.get('Http_Query')).toBe('x=1&y=%20z');
      expect((await seenBy('')).get('Http_Path')).toBe('/');
      expect((await seenBy('?testing=1')).get('Http_Query')).toBe('testing=1');
    });

    test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('%s reaches the function as it is', async (method) => {
      expect((await seenBy('/', { method })).get('Http_Method')).toBe(method);
    });

    test.each(['HEAD', 'OPTIONS'])('%s is passed on, and not refused by the gateway', async (method) => {
      const answer = await gateway().invoke(echo, { method });
      expect(answer.headers['x-call-id']).toMatch(/./);
    });

    test('any other method is 405', async () => {
      expect((await gateway().invoke(echo, { method: 'TRACE' })).status).toBe(405);
    });

    test('with and without the namespace it is the same function', async () => {
      expect((await gateway().invoke(echo, { body: 'a' })).text).toBe('a');
      expect((await gateway().invoke(`${echo}.${DEFAULT_NAMESPACE}`, { body: 'b' })).text).toBe('b');
    });

    test('a body comes back as it was sent, in pieces too', async () => {
      const text = 'x'.repeat(300_000);
      expect((await gateway().invoke(echo, { body: text })).text).toBe(text);
      expect((await gateway().invoke(echo, { body: ['one ', 'two ', 'three'] })).text).toBe('one two three');
    });

    test('the Content-Type is the function’s, else that of the request', async () => {
      const answer = await gateway().invoke(echo, { body: '{}', headers: { 'content-type': 'application/x-own' } });
      expect(answer.headers['content-type']).toBe('application/x-own');
    });

    test('every answer has X-Call-Id and X-Start-Time, and the function sees the same', async () => {
      const answer = await gateway().invoke(env, { body: '' });
      expect(answer.headers['x-call-id']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
      expect(answer.headers['x-start-time']).toMatch(/^\d{19}$/);
      expect(answer.text).toContain(`Http_X_Call_Id=${String(answer.headers['x-call-id'])}`);
      expect(answer.text).toContain(`Http_X_Start_Time=${String(answer.headers['x-start-time'])}`);
      const missing = await gateway().invoke('nobody-knows', { body: '' });
      expect(missing.headers['x-call-id']).toMatch(/./);
      expect(missing.headers['x-start-time']).toMatch(/./);
    });

    test('an X-Call-Id that the caller sends is kept', async () => {
      const id = randomUUID();
      const answer = await gateway().invoke(env, { body: '', headers: { 'x-call-id': id } });
      expect(answer.headers['x-call-id']).toBe(id);
      expect(answer.text).toContain(`Http_X_Call_Id=${id}`);
    });

    test('X-Forwarded-For and X-Forwarded-Host are there, and those of the caller are kept', async () => {
      const seen = await seenBy('/');
      expect(seen.get('Http_X_Forwarded_For')).toMatch(/^127\.0\.0\.1|::|\d+\./);
      expect(seen.get('Http_X_Forwarded_Host')).toBe(new URL(gateway().url).host);
      const kept = await seenBy('/', {
        headers: { 'x-forwarded-for': '10.1.2.3', 'x-forwarded-host': 'shop.example' },
      });
      expect(kept.get('Http_X_Forwarded_For')).toMatch(/^10\.1\.2\.3/);
      expect(kept.get('Http_X_Forwarded_Host')).toBe('shop.example');
    });

    test('headers of one hop do not pass', async () => {
      const seen = await seenBy('/', {
        headers: { te: 'trailers', 'keep-alive': 'timeout=5', 'x-own': 'a', 'proxy-authorization': 'Basic eA==' },
      });
      expect(seen.get('Http_X_Own')).toBe('a');
      for (const name of ['Http_Te', 'Http_Keep_Alive', 'Http_Proxy_Authorization']) expect(seen.has(name)).toBe(false);
    });

    test('an error of the function comes back as it is, and is not marked as one of the platform', async () => {
      const name = gateway().name('fails');
      await gateway().serve({ service: name, envProcess: 'false' });
      const answer = await gateway().invoke(name, { body: '' });
      expect(answer.status).toBe(500);
      expect(answer.headers['x-openfaas-internal']).toBeUndefined();
      expect(answer.text).toMatch(/exit status 1/);
    });

    test('an unknown function is 404 with a text that names it and its namespace', async () => {
      const answer = await gateway().invoke('nobody-knows', { body: '' });
      expect(answer.status).toBe(404);
      expect(answer.text).toMatch(/nobody-knows/);
      expect(answer.text).toMatch(/openfaas-fn/);
      expect((await gateway().invoke('nobody-knows.nobody-made', { body: '' })).status).toBe(404);
    });

    test('calls of a function at zero are held until it is ready, many at once too', async () => {
      const name = gateway().name('cold');
      await gateway().serve({ service: name });
      await gateway().system('POST', `/system/scale-function/${name}`, { serviceName: name, replicas: 0 });
      await expect.poll(async () => (await gateway().status(name)).availableReplicas ?? 0, { timeout: 10_000 }).toBe(0);
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, index) => gateway().invoke(name, { body: `call ${index}` })),
      );
      expect(answers.map(({ status, text }) => `${status} ${text}`)).toEqual(
        answers.map((_, index) => `200 call ${index}`),
      );
    });

    test('no call fails while a new version takes over', async () => {
      const name = gateway().name('rolling');
      const { image } = gateway();
      await gateway().serve({ service: name, envProcess: 'cat' });
      const statuses: number[] = [];
      let isOver = false;
      const calling = (async () => {
        while (!isOver) {
          statuses.push((await gateway().invoke(name, { body: 'x' })).status);
          await sleep(10);
        }
      })();
      const deployment = { service: name, image, envProcess: 'cat', envVars: { VERSION: '2' } };
      await gateway().system('PUT', '/system/functions', deployment);
      await sleep(3_000);
      isOver = true;
      await calling;
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
      expect(statuses.length).toBeGreaterThan(20);
    });
  });

  describe('calling later', () => {
    test('is accepted with 202, an empty body and the id of the call', async () => {
      const answer = await call(`${gateway().url}/async-function/${echo}/path?q=1`, { body: 'later' });
      expect([answer.status, answer.text]).toEqual([202, '']);
      expect(answer.headers['x-call-id']).toMatch(/./);
    });

    test('an unknown function is 404, and a callback that is no address 400', async () => {
      const unknown = await call(`${gateway().url}/async-function/nobody-knows`, { body: 'x' });
      expect(unknown.status).toBe(404);
      const bad = await call(`${gateway().url}/async-function/${echo}`, {
        body: 'x',
        headers: { 'x-callback-url': '::not an address' },
      });
      expect(bad.status, shown(bad)).toBe(400);
    });
  });

  test('a connector’s way: it lists functions by topic and posts the event to those that follow it', async () => {
    const name = gateway().name('follows');
    await gateway().serve({ service: name, envProcess: 'env', annotations: { topic: 'photos,faces' } });
    const status = await gateway().status(name);
    expect(status.annotations['topic']).toBe('photos,faces');
    const answer = await gateway().invoke(`${name}.${DEFAULT_NAMESPACE}`, {
      body: 'event',
      headers: { 'x-topic': 'photos', 'x-connector': 'connector-sdk', 'content-type': 'text/plain' },
    });
    expect(answer.text).toContain('Http_X_Topic=photos');
    expect(answer.text).toContain('Http_X_Connector=connector-sdk');
  });

  test('calls that are made count', async () => {
    const name = gateway().name('counted');
    await gateway().serve({ service: name });
    for (let made = 0; made < 3; made++) await gateway().invoke(name, { body: '' });
    const count = async (): Promise<unknown> => {
      const answer = await gateway().system('GET', '/system/functions');
      const all = JSON.parse(answer.text) as readonly { name: string; invocationCount?: number }[];
      return all.find((one) => one.name === name)?.invocationCount;
    };
    await expect.poll(count, { timeout: 8_000 }).toBe(3);
  });
}
