import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi } from '../../../../../testing/harness/api.ts';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const json = async (response: Response): Promise<unknown> => response.json();

test('a function is created, listed, shown, updated and removed, with the codes that clients go by', async () => {
  const deployment = { service: 'hello', image: 'docker.io/functions/alpine:latest' };
  expect((await server.send('PUT', '/system/functions', deployment)).status).toBe(404);
  const created = await server.send('POST', '/system/functions', deployment);
  expect([created.status, await created.text()]).toEqual([202, '']);
  expect((await server.send('POST', '/system/functions', deployment)).status).toBe(409);
  const shown = {
    name: 'hello',
    namespace: 'openfaas-fn',
    image: 'docker.io/functions/alpine:latest',
    labels: { faas_function: 'hello' },
    annotations: {},
    invocationCount: 7,
    replicas: 1,
    availableReplicas: 0,
    createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
  };
  expect(await json(await server.send('GET', '/system/functions'))).toEqual([shown]);
  expect(await json(await server.send('GET', '/system/function/hello?usage=1'))).toEqual(shown);
  const updated = { ...deployment, labels: { a: 'b' } };
  expect((await server.send('PUT', '/system/functions', updated)).status).toBe(202);
  expect(await json(await server.send('GET', '/system/function/hello'))).toMatchObject({
    labels: { a: 'b', faas_function: 'hello' },
  });
  expect((await server.send('DELETE', '/system/functions', { functionName: 'hello' })).status).toBe(202);
  expect(await json(await server.send('GET', '/system/functions'))).toEqual([]);
  const gone = await server.send('GET', '/system/function/hello');
  expect([gone.status, await gone.text()]).toEqual([404, '']);
});
