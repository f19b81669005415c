import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi } from '../../../../../testing/harness/api.ts';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const send = async (method: string, body: unknown, query = '') =>
  (await server.send(method, `/system/secrets${query}`, body)).status;
const list = async (query = ''): Promise<unknown> => (await server.send('GET', `/system/secrets${query}`)).json();
const valueOf = async (name: string, namespace = 'openfaas-fn') =>
  Buffer.from(await server.secrets.reveal(namespace, name)).toString();

test('T2: a secret is made, listed without its value, replaced and removed', async () => {
  expect(await list()).toEqual([]);
  expect(await send('POST', { name: 'token', value: 'one' })).toBe(201);
  expect(await list()).toEqual([{ name: 'token', namespace: 'openfaas-fn' }]);
  expect(await send('POST', { name: 'token', value: 'two' })).toBe(409);
  expect(await valueOf('token')).toBe('one');
  expect(await send('PUT', { name: 'token', value: 'two' })).toBe(200);
  expect(await valueOf('token')).toBe('two');
  expect(await send('DELETE', { name: 'token' })).toBe(202);
  expect(await list()).toEqual([]);
});

test('raw bytes win over the text beside them, which clients cut the space off', async () => {
  const rawValue = Buffer.from(' with space \n').toString('base64');
  expect(await send('POST', { name: 'raw', value: 'with space', rawValue })).toBe(201);
  expect(await valueOf('raw')).toBe(' with space \n');
  const body = JSON.stringify({ name: 'typed', value: 'x' });
  // Older clients do not say that it is JSON.
  expect((await server.send('POST', '/system/secrets', body, { 'content-type': 'text/plain' })).status).toBe(201);
});

test('T3: the namespace of the body counts before that of the query, which counts before the default', async () => {
  await server.send('POST', '/system/namespace/', { name: 'one', labels: { openfaas: '1' } });
  await server.send('POST', '/system/namespace/', { name: 'two', labels: { openfaas: '1' } });
  expect(await send('POST', { name: 'a', namespace: 'one', value: 'x' }, '?namespace=two')).toBe(201);
  expect(await send('POST', { name: 'b', namespace: '', value: 'x' }, '?namespace=two')).toBe(201);
  expect(await list('?namespace=one')).toEqual([{ name: 'a', namespace: 'one' }]);
  expect(await list('?namespace=two')).toEqual([{ name: 'b', namespace: 'two' }]);
  expect(await send('DELETE', { name: 'b' }, '?namespace=two')).toBe(202);
  expect(await list('?namespace=two')).toEqual([]);
});

test('a secret can be removed as soon as the removal of its function is answered, and not before', async () => {
  await send('POST', { name: 'used', value: 'x' });
  await server.send('POST', '/system/functions', { service: 'uses', image: 'a:1', secrets: ['used'] });
  expect(await send('DELETE', { name: 'used' })).toBe(409);
  expect((await server.send('DELETE', '/system/functions', { functionName: 'uses' })).status).toBe(202);
  expect(await send('DELETE', { name: 'used' })).toBe(202);
});
