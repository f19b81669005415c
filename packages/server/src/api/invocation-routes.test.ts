import {
  type InvocationResource,
  invocationPageSchema,
  invocationResourceSchema,
  submittedBatchSchema,
  submittedSchema,
} from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi } from '../../../../testing/harness/api.ts';

const HOME = '/v1/invocations';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
  await server.send('PUT', '/v1/namespaces/team');
  for (const where of ['openfaas-fn/functions/web', 'openfaas-fn/functions/app', 'team/functions/web']) {
    await server.send('PUT', `/v1/namespaces/${where}`, { spec: { image: 'example:1' } });
  }
});
afterAll(() => server.stop());

const json = async (response: Response): Promise<unknown> => response.json();
const submitted = async (call: object, query = ''): Promise<string> => {
  const response = await server.send('POST', `${HOME}${query}`, call);
  expect(response.status).toBe(202);
  return submittedSchema.parse(await json(response)).id;
};
const get = async (id: string, query = ''): Promise<InvocationResource> =>
  invocationResourceSchema.parse(await json(await server.send('GET', `${HOME}/${id}${query}`)));
const codeOf = async (response: Response): Promise<unknown> => {
  const body = await json(response);
  return [response.status, typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined];
};

/** Ends a call as a dispatcher would, with a text as its answer. */
async function succeed(lane: string, text: string): Promise<void> {
  const now = Date.now();
  const { leases } = await server.queue.lease({ lane, max: 1000, now, untilAt: now + 60_000, owner: 'test' });
  const bytes = Buffer.from(text);
  const result = { status: 201, headers: ['Content-Type', 'text/html'], body: { kind: 'bytes', bytes } } as const;
  await server.queue.settle(leases.map(({ receipt }) => ({ receipt, now, next: { kind: 'succeeded', result } })));
}

describe('asynchronous calls', () => {
  test('are accepted as text, bytes or JSON, and shown as they were submitted', async () => {
    const bodies = [
      [{ body: 'grüße' }, 'text/plain; charset=utf-8', 'grüße'],
      [{ bodyBase64: Buffer.from([0, 255]).toString('base64') }, 'application/octet-stream', '\0\xff'],
      [{ json: { a: [1] } }, 'application/json', '{"a":[1]}'],
      [{ body: '<a/>', headers: { 'content-type': 'text/xml' } }, 'text/xml', '<a/>'],
      [{}, 'application/octet-stream', ''],
    ] as const;
    for (const [body, type, expected] of bodies) {
      const id = await submitted({ function: 'web', path: '/a?b', delay: '1h', priority: 9, key: 'k', ...body });
      const payload = await server.send('GET', `${HOME}/${id}/payload`);
      expect(payload.headers.get('content-type')).toBe(type);
      // What somebody else wrote is not run by who looks at it.
      expect(payload.headers.get('content-security-policy')).toContain('sandbox');
      const bytes = Buffer.from(await payload.arrayBuffer());
      expect(type.startsWith('application/octet') ? bytes.toString('latin1') : bytes.toString()).toBe(expected);
      const shown = await get(id);
      expect(shown).toMatchObject({ path: '/a?b', priority: 9, key: 'k', sizeBytes: bytes.length, state: 'queued' });
      expect(Date.parse(shown.nextAt ?? '') - Date.parse(shown.acceptedAt)).toBe(3_600_000);
    }
  });

  test('many at once are each accepted or refused by themselves', async () => {
    const calls = [{ function: 'web' }, { function: 'gone' }, { function: 'app:beta' }, { function: 'web.team' }];
    const response = await server.send('POST', HOME, { calls });
    expect(response.status).toBe(202);
    const batch = submittedBatchSchema.parse(await json(response));
    expect(batch.calls).toEqual([
      { id: expect.any(String) },
      { error: { code: 'FUNCTION_NOT_FOUND', message: expect.stringContaining('gone') } },
      { error: { code: 'ALIAS_NOT_FOUND', message: expect.stringContaining('beta') } },
      { id: expect.any(String) },
    ]);
  });

  test('what is wrong with a submit is said of the form that was meant', async () => {
    const messages = async (body: unknown) =>
      ((await json(await server.send('POST', HOME, body))) as { readonly message: string }).message;
    expect(await messages({})).toBe('"function" is missing: expected a string');
    expect(await messages({ function: 'web', colour: 1 })).toBe('the body has an unknown field "colour"');
    expect(await messages({ calls: [{ function: 'web' }, { function: 'web', priority: 10 }] })).toBe(
      '"calls.1.priority" is 10 but must be at most 9',
    );
    expect(await messages({ function: 'We b' })).toContain('must be NAME or NAME.NAMESPACE');
    expect(await messages({ function: 'web', runAt: '9999-01-01T00:00:00Z' })).toContain(
      '"runAt" is "9999-01-01T00:00:00Z" but must be a moment',
    );
    expect(await messages({ function: 'web', callback: 'mailto:a' })).toContain('must be an http or https address');
    expect(await messages({ function: 'web', headers: { Host: 'a', TE: 'b' } })).toContain('"TE"');
    expect(await messages({ function: 'web', headers: { a: 'b\nc' } })).toContain('HTTP does not allow');
    expect(await codeOf(await server.send('POST', `${HOME}?namespace=nowhere`, { function: 'web' }))).toEqual([
      404,
      'NAMESPACE_NOT_FOUND',
    ]);
  });

  test('T3: a call of another namespace is not found, whatever is asked of it', async () => {
    const id = await submitted({ function: 'web', body: 'x', delay: '1h' }, '?namespace=team');
    expect(await get(id, '?namespace=team')).toMatchObject({ namespace: 'team', target: 'web' });
    const asked = [
      ['GET', ''],
      ['GET', '/payload'],
      ['GET', '/result'],
      ['GET', '/logs'],
      ['POST', '/cancel'],
      ['POST', '/replay'],
    ] as const;
    for (const [method, what] of asked) {
      const body = what === '/replay' ? {} : undefined;
      const response = await server.send(method, `${HOME}/${id}${what}?namespace=openfaas-fn`, body);
      expect([what, await codeOf(response)]).toEqual([what, [404, 'INVOCATION_NOT_FOUND']]);
    }
    const page = invocationPageSchema.parse(await json(await server.send('GET', HOME)));
    expect(page.invocations.map((one) => one.id)).not.toContain(id);
    const replay = await server.send('POST', `${HOME}/${id}/replay`, { function: 'web.openfaas-fn' });
    expect(await codeOf(replay)).toEqual([400, 'INVALID_REQUEST']);
    expect(await get(id)).toMatchObject({ state: 'queued' });
  });

  test('are waited for until they have ended, or for as long as was said', async () => {
    const id = await submitted({ function: 'app', body: 'x' });
    expect(await get(id, '?wait=10ms')).toMatchObject({ state: 'queued' });
    const waiting = get(id, '?wait=30s');
    expect(await codeOf(await server.send('GET', `${HOME}/${id}/result`))).toEqual([404, 'RESULT_NOT_FOUND']);
    await succeed('openfaas-fn/app', '<b>done</b>');
    expect(await waiting).toMatchObject({
      state: 'succeeded',
      result: { status: 201, contentType: 'text/html', sizeBytes: 11, path: `${HOME}/${id}/result` },
    });
    const result = await server.send('GET', `${HOME}/${id}/result`);
    expect([result.status, result.headers.get('x-ebb-function-status'), await result.text()]).toEqual([
      200,
      '201',
      '<b>done</b>',
    ]);
    expect(await codeOf(await server.send('GET', `${HOME}/${id}?wait=6m`))).toEqual([400, 'INVALID_REQUEST']);
  });

  test('are cancelled while they are queued, and not once they have ended or run elsewhere', async () => {
    const id = await submitted({ function: 'app', delay: '1h' });
    const cancelled = await server.send('POST', `${HOME}/${id}/cancel`);
    expect(await json(cancelled)).toMatchObject({ id, state: 'cancelled', cancelled: 'cancelled by a user' });
    expect(await codeOf(await server.send('POST', `${HOME}/${id}/cancel`))).toEqual([409, 'INVOCATION_ENDED']);
    const running = await submitted({ function: 'app' });
    const now = Date.now();
    await server.queue.lease({ lane: 'openfaas-fn/app', max: 10, now, untilAt: now + 60_000, owner: 'another' });
    expect(await codeOf(await server.send('POST', `${HOME}/${running}/cancel`))).toEqual([409, 'CONFLICT']);
    expect(await codeOf(await server.send('POST', `${HOME}/unknown/cancel`))).toEqual([404, 'INVOCATION_NOT_FOUND']);
  });

  test('are replayed with their payload, whatever became of them, also to another function', async () => {
    const big = 'x'.repeat(100_000);
    const id = await submitted({
      function: 'web',
      path: '/a',
      body: big,
      headers: { 'x-own': '1' },
      key: 'k',
      delay: '1h',
    });
    await server.send('POST', `${HOME}/${id}/cancel`);
    const again = submittedSchema.parse(await json(await server.send('POST', `${HOME}/${id}/replay`, {})));
    expect(await get(again.id)).toMatchObject({
      target: 'web',
      path: '/a',
      key: 'k',
      sizeBytes: 100_000,
      state: 'queued',
      origin: { kind: 'replay', of: id },
    });
    const other = await server.send('POST', `${HOME}/${again.id}/replay`, { function: 'app@1' });
    const aimed = submittedSchema.parse(await json(other));
    expect(await get(aimed.id)).toMatchObject({ target: 'app@1', origin: { of: again.id } });
    const payload = await server.send('GET', `${HOME}/${aimed.id}/payload`);
    expect(await payload.text()).toBe(big);
    const gone = await server.send('POST', `${HOME}/${id}/replay`, { function: 'gone' });
    expect(await codeOf(gone)).toEqual([404, 'FUNCTION_NOT_FOUND']);
  });

  test('are listed newest first, a page at a time, by function, state, key and time', async () => {
    await server.send('PUT', '/v1/namespaces/listed');
    await server.send('PUT', '/v1/namespaces/listed/functions/a', { spec: { image: 'example:1' } });
    await server.send('PUT', '/v1/namespaces/listed/functions/b', { spec: { image: 'example:1' } });
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      const call = { function: i % 2 === 0 ? 'a' : 'b', key: i < 4 ? 'old' : 'new', body: 'x', delay: '1h' };
      ids.push(await submitted(call, '?namespace=listed'));
    }
    await server.send('POST', `${HOME}/${ids[0]}/cancel`);
    const list = async (query: string) =>
      invocationPageSchema.parse(await json(await server.send('GET', `${HOME}?namespace=listed${query}`)));
    const listed = async (query: string) => (await list(query)).invocations.map(({ id }) => ids.indexOf(id));
    expect(await listed('')).toEqual([6, 5, 4, 3, 2, 1, 0]);
    const first = await list('&limit=3');
    const second = await list(`&limit=4&cursor=${first.next}`);
    expect([first, second].map((page) => page.invocations.length)).toEqual([3, 4]);
    expect(second.next).toBeUndefined();
    expect(second.invocations.at(-1)?.id).toBe(ids[0]);
    expect(await listed('&function=b')).toEqual([5, 3, 1]);
    expect(await listed('&state=cancelled')).toEqual([0]);
    expect(await listed('&key=new')).toEqual([6, 5, 4]);
    expect(await listed(`&before=${new Date(0).toISOString()}`)).toEqual([]);
    expect(await listed(`&since=${new Date(0).toISOString()}&function=a`)).toEqual([6, 4, 2, 0]);
    expect(await codeOf(await server.send('GET', `${HOME}?namespace=listed&cursor=x`))).toEqual([
      400,
      'INVALID_REQUEST',
    ]);
    expect(await codeOf(await server.send('GET', `${HOME}?namespace=listed&limit=1001`))).toEqual([
      400,
      'INVALID_REQUEST',
    ]);
  });

  test('show the lines that were written during them', async () => {
    const id = await submitted({ function: 'web', delay: '1h' });
    const line = (callId: string, text: string) => ({
      at: new Date().toISOString(),
      namespace: 'openfaas-fn',
      function: 'web',
      version: 1,
      instance: 'i-1',
      source: 'stdout' as const,
      callId,
      text,
    });
    server.logs.append(line(id, 'mine'));
    server.logs.append(line('other', 'not mine'));
    const response = await server.send('GET', `${HOME}/${id}/logs`);
    const lines = (await response.text())
      .trim()
      .split('\n')
      .map((text): unknown => JSON.parse(text));
    expect(lines).toEqual([expect.objectContaining({ callId: id, text: 'mine' })]);
  });
});
