import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi } from '../../../../../testing/harness/api.ts';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const read = async (path: string): Promise<unknown> => (await server.send('GET', path)).json();
const status = async (method: string, path: string, body: unknown) => (await server.send(method, path, body)).status;

test('a namespace is made, listed beside the default one, described anew, and removed', async () => {
  const made = { name: 'team', labels: { openfaas: '1', a: 'b' }, annotations: { note: 'two\nlines' } };
  expect(await status('POST', '/system/namespace/', made)).toBe(201);
  expect(await read('/system/namespaces')).toEqual(['openfaas-fn', 'team']);
  expect(await read('/system/namespace/team')).toEqual(made);
  expect(await status('PUT', '/system/namespace/team', { name: 'team', annotations: { openfaas: '1' } })).toBe(202);
  expect(await read('/system/namespace/team')).toEqual({ name: 'team', labels: {}, annotations: { openfaas: '1' } });
  expect(await status('PUT', '/system/namespaces/team', made)).toBe(202);
  expect(await read('/system/namespace/team')).toEqual(made);
  // What the other API says of it stays its own.
  expect(await read('/v1/namespaces/team')).toEqual({ name: 'team', createdAt: expect.any(String) as string });
  expect(await status('DELETE', '/system/namespace/team', { name: 'team', labels: { openfaas: '1' } })).toBe(202);
  expect(await read('/system/namespaces')).toEqual(['openfaas-fn']);
});

test('one that was made elsewhere is shown as meant for functions', async () => {
  expect(await read('/system/namespace/openfaas-fn')).toEqual({
    name: 'openfaas-fn',
    labels: {},
    annotations: { openfaas: '1' },
  });
});

test('one that holds something is not removed, by the other path neither', async () => {
  await status('POST', '/system/namespace/', { name: 'full', labels: { openfaas: '1' } });
  await status('POST', '/system/functions', { service: 'a', image: 'a:1', namespace: 'full' });
  expect(await status('DELETE', '/system/namespaces/full', { name: 'full' })).toBe(400);
  // As older clients name it.
  expect(await status('DELETE', '/system/functions?namespace=full', { functionName: 'a' })).toBe(202);
  expect(await status('DELETE', '/system/namespaces/full', { name: 'full' })).toBe(202);
});
