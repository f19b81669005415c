import { functionSpecSchema } from '@ebb/contract';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi } from '../../../../../testing/harness/api.ts';
import { EbbError } from '../../core/errors.ts';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const json = async (response: Response): Promise<unknown> => response.json();
const show = async (name: string) => json(await server.send('GET', `/system/function/${name}`));
const status = async (method: string, path: string, body: unknown) => (await server.send(method, path, body)).status;
const FUNCTIONS = '/system/functions';

test('a function is created, listed, shown, updated and removed, with the codes that clients go by', async () => {
  const deployment = { service: 'hello', image: 'docker.io/functions/alpine:latest' };
  expect(await status('PUT', FUNCTIONS, deployment)).toBe(404);
  const created = await server.send('POST', FUNCTIONS, deployment);
  expect([created.status, await created.text()]).toEqual([202, '']);
  expect(await status('POST', FUNCTIONS, deployment)).toBe(409);
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
  expect(await json(await server.send('GET', FUNCTIONS))).toEqual([shown]);
  expect(await show('hello?usage=1')).toEqual(shown);
  expect(await status('PUT', FUNCTIONS, { ...deployment, labels: { a: 'b' } })).toBe(202);
  expect(await show('hello')).toMatchObject({ labels: { a: 'b', faas_function: 'hello' } });
  expect(await status('DELETE', FUNCTIONS, { functionName: 'hello' })).toBe(202);
  expect(await json(await server.send('GET', FUNCTIONS))).toEqual([]);
  const gone = await server.send('GET', '/system/function/hello');
  expect([gone.status, await gone.text()]).toEqual([404, '']);
});

test('the removal is in force when it is answered: the name can be taken again at once', async () => {
  for (const image of ['a:1', 'a:2', 'a:3']) {
    expect(await status('POST', FUNCTIONS, { service: 'again', image })).toBe(202);
    expect(await show('again')).toMatchObject({ image });
    expect(await status('DELETE', FUNCTIONS, { functionName: 'again' })).toBe(202);
  }
});

test('an update is answered and shown before the first instance of its version is ready', async () => {
  await status('POST', FUNCTIONS, { service: 'slow', image: 'a:1' });
  server.running.push({ id: 'i' } as (typeof server.running)[number]);
  const ready = Promise.withResolvers<void>();
  server.gate.prove = () => ready.promise;
  const update = { service: 'slow', image: 'a:2', labels: { 'com.openfaas.scale.min': '3' } };
  expect(await status('PUT', FUNCTIONS, update)).toBe(202);
  expect(await show('slow')).toMatchObject({ image: 'a:2', replicas: 3, availableReplicas: 1 });
  expect(server.registry.resolve('openfaas-fn', 'slow')?.live.spec.image).toBe('a:1');
  ready.resolve();
  await expect.poll(() => server.registry.resolve('openfaas-fn', 'slow')?.live.spec.image).toBe('a:2');
  server.running.length = 0;
  server.gate.prove = () => Promise.resolve();
});

test('while an update waits, its first replicas are shown, and then the number that somebody asks for', async () => {
  await status('POST', FUNCTIONS, { service: 'waits', image: 'a:1' });
  await status('POST', '/system/scale-function/waits', { serviceName: 'waits', replicas: 0 });
  server.running.push({ id: 'i' } as (typeof server.running)[number]);
  const ready = Promise.withResolvers<void>();
  server.gate.prove = () => ready.promise;
  const labels = { 'com.openfaas.scale.zero': 'true', 'com.openfaas.scale.min': '4' };
  expect(await status('PUT', FUNCTIONS, { service: 'waits', image: 'a:2', labels })).toBe(202);
  await status('POST', '/system/scale-function/waits', { serviceName: 'waits', replicas: 2 });
  expect(await show('waits')).toMatchObject({ image: 'a:2', replicas: 2 });
  ready.resolve();
  await expect.poll(() => server.registry.resolve('openfaas-fn', 'waits')?.live.spec.image).toBe('a:2');
  server.running.length = 0;
  server.gate.prove = () => Promise.resolve();
});

test('an image that cannot be had is said at once, and nothing is left of the deploy', async () => {
  const { admit } = server.gate;
  server.gate.admit = () => Promise.reject(new EbbError('IMAGE_NOT_FOUND', 'the image "b" is nowhere'));
  const refused = await server.send('POST', FUNCTIONS, { service: 'lost', image: 'b' });
  expect([refused.status, await refused.text()]).toEqual([400, 'the image "b" is nowhere\n']);
  server.gate.admit = admit;
  expect((await server.send('GET', '/system/function/lost')).status).toBe(404);
});

test('a redeploy of the same spec makes a new version once one of its secrets was set anew', async () => {
  const deployment = { service: 'keeper', image: 'a:1', secrets: ['key'] };
  await status('POST', '/system/secrets', { name: 'key', value: 'one' });
  await status('POST', FUNCTIONS, deployment);
  const version = () => server.registry.resolve('openfaas-fn', 'keeper')?.live.version;
  expect(await status('PUT', FUNCTIONS, deployment)).toBe(202);
  expect(version()).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 2));
  await status('PUT', '/system/secrets', { name: 'key', value: 'two' });
  expect(await status('PUT', FUNCTIONS, deployment)).toBe(202);
  expect(version()).toBe(2);
});

test('scaling is shown by the next read, also to zero, until the next deploy', async () => {
  await status('POST', FUNCTIONS, { service: 'scaled', image: 'a:1' });
  for (const replicas of [4, 0, 2]) {
    expect(await status('POST', '/system/scale-function/scaled', { serviceName: 'scaled', replicas })).toBe(202);
    expect(await show('scaled')).toMatchObject({ replicas });
  }
  await status('PUT', FUNCTIONS, { service: 'scaled', image: 'a:2' });
  expect(await show('scaled')).toMatchObject({ replicas: 1 });
});

test('a function that goes to zero when idle begins with an instance, as clients wait for one', async () => {
  const labels = { 'com.openfaas.scale.zero': 'true' };
  await status('POST', FUNCTIONS, { service: 'idler', image: 'a:1', labels });
  expect(await show('idler')).toMatchObject({ replicas: 1 });
});

test('older clients name the namespace in the query, newer ones in the body, which counts first', async () => {
  for (const name of ['one', 'two']) await status('POST', '/system/namespace', { name, labels: { openfaas: '1' } });
  await status('POST', FUNCTIONS, { service: 'f', image: 'a:1', namespace: 'one' });
  await status('POST', `${FUNCTIONS}?namespace=two`, { service: 'f', image: 'a:2' });
  expect(await show('f?namespace=one')).toMatchObject({ namespace: 'one', image: 'a:1' });
  expect(await show('f.two')).toMatchObject({ namespace: 'two', image: 'a:2' });
  const scale = '/system/scale-function/f?namespace=two';
  expect(await status('POST', scale, { serviceName: 'f', replicas: 3, namespace: 'one' })).toBe(202);
  expect(await show('f?namespace=one')).toMatchObject({ replicas: 3 });
  expect(await status('DELETE', `${FUNCTIONS}?namespace=two`, { functionName: 'f', namespace: 'one' })).toBe(202);
  expect(await status('DELETE', `${FUNCTIONS}?namespace=two`, { functionName: 'f' })).toBe(202);
  expect((await server.send('GET', '/system/function/f')).status).toBe(404);
});

test('what no client of this age knows, and fields that are null, do not matter', async () => {
  const old = { service: 'old', image: 'a:1', network: 'func', registryAuth: '', labels: null, limits: { cpu: null } };
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  expect((await server.send('POST', FUNCTIONS, JSON.stringify(old), headers)).status).toBe(202);
});

test('a function that came another way is shown with what it has', async () => {
  const spec = functionSpecSchema.parse({ image: 'a:1', memory: '64Mi', cpu: 0.5 });
  await server.registry.put({ namespace: 'openfaas-fn', name: 'native', spec }, { probe: false });
  expect(await show('native')).toMatchObject({ image: 'a:1', limits: { memory: '64Mi', cpu: '500m' } });
});
