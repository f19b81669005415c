import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, RECEIVER_HOST } from './gateway.ts';

interface Post {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const RETRY = 'com.openfaas.retry.';

/** Calls that are made later: callbacks, retries by annotation, taking back. */
export function describeAsync(gateway: () => Gateway): void {
  describe('asynchronous calls', () => define(gateway));
}

function define(gateway: () => Gateway): void {
  let receiver: Server;
  let address = '';
  const posts: Post[] = [];
  const names = { env: '', broken: '', slow: '' };

  beforeAll(async () => {
    receiver = createServer((request, response) => {
      void text(request).then((body) => {
        posts.push({ headers: request.headers, body });
        response.end();
      });
    }).listen(0, RECEIVER_HOST);
    await once(receiver, 'listening');
    address = `http://${RECEIVER_HOST}:${(receiver.address() as AddressInfo).port}/done`;
    for (const word of Object.keys(names) as (keyof typeof names)[]) names[word] = gateway().name(`async-${word}`);
    const annotations = {
      [`${RETRY}attempts`]: '2',
      [`${RETRY}codes`]: '500,503',
      [`${RETRY}min_wait`]: '10ms',
      [`${RETRY}max_wait`]: '20ms',
      'com.openfaas.queue': 'slow-ones',
    };
    await Promise.all([
      gateway().serve({ service: names.env, envProcess: 'env' }),
      gateway().serve({ service: names.broken, envProcess: 'false', annotations }),
      gateway().serve({ service: names.slow, envProcess: 'sleep 60' }),
    ]);
  });
  afterAll(async () => {
    receiver?.close().closeAllConnections();
    for (const name of Object.values(names)) await gateway().remove(name);
  });

  const submit = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    gateway().open(`/async-function/${path}`, { method: 'POST', body: 'hello', headers: { ...headers } });
  const postOf = async (id: unknown): Promise<Post> => {
    for (let tries = 0; tries < 500; tries += 1) {
      const post = posts.find(({ headers }) => headers['x-call-id'] === id);
      if (post) return post;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no callback for ${String(id)} came`);
  };

  test('a call is accepted with 202, an empty body and X-Call-Id', async () => {
    const answer = await submit(names.env);
    expect([answer.status, answer.text]).toEqual([202, '']);
    expect(answer.headers['x-call-id']).toMatch(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  test('other methods are 405, a function that is not there is 404, a bad callback address is 400', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD'])
      expect((await gateway().open(`/async-function/${names.env}`, { method })).status, method).toBe(405);
    expect((await submit('nobody-knows')).status).toBe(404);
    expect((await submit(`${names.env}.nobody-knows`)).status).toBe(404);
    for (const url of ['no address', 'gopher://a/', '://', 'http://'])
      expect((await submit(names.env, { 'x-callback-url': url })).status, url).toBe(400);
    expect((await submit(names.env, { 'x-callback-url': '' })).status).toBe(202);
  });

  test('the answer is posted to X-Callback-Url with the headers that receivers go by', async () => {
    if (!gateway().own) return;
    const id = randomUUID();
    const headers = { 'x-callback-url': address, 'x-call-id': id, 'content-type': 'application/x-own' };
    const answer = await submit(`${names.env}.openfaas-fn/a/b?c=d`, headers);
    expect([answer.status, answer.headers['x-call-id']]).toEqual([202, id]);
    const { body, headers: posted } = await postOf(id);
    // The function saw the path, the query and the id, and nothing of where its answer goes.
    for (const line of ['Http_Path=/a/b', 'Http_Query=c=d', `Http_X_Call_Id=${id}`, 'Http_Method=POST'])
      expect(body).toContain(`${line}\n`);
    expect(body).not.toContain('Callback');
    expect(posted).toMatchObject({
      'content-type': 'application/x-own',
      'user-agent': expect.stringContaining('queue-worker') as string,
      'x-call-id': id,
      'x-duration-seconds': expect.stringMatching(/^\d+\.\d+$/) as string,
      'x-function-name': names.env,
      'x-function-status': '200',
      'x-retry': '0',
    });
  });

  test('what fails is tried again as the annotations say; the last answer goes to the callback, then the call is kept', async () => {
    const own = gateway().own;
    if (!own) return;
    const answer = await submit(names.broken, { 'x-callback-url': address });
    const id = String(answer.headers['x-call-id']);
    const { body, headers } = await postOf(id);
    expect(body).toMatch(/exit status/);
    expect(headers).toMatchObject({ 'x-function-status': '500', 'x-retry': '2', 'x-retry-max': '2' });
    expect(posts.filter((post) => post.headers['x-call-id'] === id)).toHaveLength(1);
    expect(await own.client.invocations.get(id)).toMatchObject({ state: 'dead', dead: { reason: 'attempts' } });
    const status = await gateway().status(names.broken);
    expect(status.annotations).toMatchObject({ [`${RETRY}attempts`]: '2', 'com.openfaas.queue': 'slow-ones' });
  });

  test('DELETE takes back a call that runs and one that waits, by its id alone, with 202; then there is nothing to take', async () => {
    const own = gateway().own;
    if (!own) return;
    const running = String((await submit(names.slow, { 'x-callback-url': address })).headers['x-call-id']);
    const waiting = String((await submit(names.slow, { 'x-ebb-delay': '1h' })).headers['x-call-id']);
    await expect
      .poll(async () => (await own.client.invocations.get(running)).state, { timeout: 10_000 })
      .toBe('running');
    for (const id of [running, waiting]) {
      const answer = await gateway().open(`/async-function/${id}`, { method: 'DELETE' });
      expect([answer.status, answer.text]).toEqual([202, '']);
      expect((await own.client.invocations.get(id)).state).toBe('cancelled');
      expect((await gateway().open(`/async-function/${id}`, { method: 'DELETE' })).status).toBe(409);
    }
    expect(posts.some(({ headers }) => headers['x-call-id'] === running)).toBe(false);
    expect((await gateway().open(`/async-function/${randomUUID()}`, { method: 'DELETE' })).status).toBe(404);
  });
}
