import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SECRET, startApi } from '../../../../../testing/harness/api.ts';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const basic = (user: string, secret: string) => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
const PROTECTED: readonly (readonly [method: string, path: string])[] = [
  ['GET', '/system/functions'],
  ['POST', '/system/functions'],
  ['PUT', '/system/functions'],
  ['DELETE', '/system/functions'],
  ['GET', '/system/function/a'],
  ['POST', '/system/scale-function/a'],
  ['GET', '/system/info'],
  ['GET', '/system/secrets'],
  ['POST', '/system/secrets'],
  ['PUT', '/system/secrets'],
  ['DELETE', '/system/secrets'],
  ['GET', '/system/namespaces'],
  ['POST', '/system/namespace/'],
  ['GET', '/system/namespace/openfaas-fn'],
  ['PUT', '/system/namespaces/openfaas-fn'],
  ['DELETE', '/system/namespace/openfaas-fn'],
  ['GET', '/system/nothing'],
  ['PATCH', '/system/functions'],
  ['GET', '/ui/'],
  ['GET', '/ui/nothing'],
];

describe('T1: everything but health and the way to the page asks for credentials', () => {
  test.each(PROTECTED)('%s %s', async (method, path) => {
    const response = await fetch(`${server.url}${path}`, { method });
    expect([response.status, await response.text()]).toEqual([401, 'invalid credentials']);
    expect(response.headers.get('www-authenticate')).toBe('Basic realm="Restricted"');
  });

  test.each([
    ['a wrong password', basic('admin', 'wrong')],
    ['a wrong user', basic('root', SECRET)],
    ['an empty bearer token', 'Bearer '],
    ['nothing that can be read', 'Basic ='],
  ])('%s is refused', async (_what, authorization) => {
    const response = await fetch(`${server.url}/system/functions`, { headers: { authorization } });
    expect([response.status, await response.text()]).toEqual([401, 'invalid credentials']);
  });

  test('the user with the admin secret as password is let in, and so is the secret as a token', async () => {
    for (const authorization of [basic('admin', SECRET), `Bearer ${SECRET}`]) {
      const response = await fetch(`${server.url}/system/functions`, { headers: { authorization } });
      expect([response.status, await response.json()]).toEqual([200, []]);
    }
  });

  test('health and the way to the page are open', async () => {
    for (const method of ['GET', 'HEAD']) {
      const response = await fetch(`${server.url}/healthz`, { method });
      expect([response.status, await response.text()]).toEqual([200, method === 'GET' ? 'OK' : '']);
    }
    const home = await fetch(`${server.url}/`, { redirect: 'manual' });
    expect([home.status, home.headers.get('location')]).toEqual([307, '/ui/']);
  });
});

test('the page says where to go on', async () => {
  const page = await server.send('GET', '/ui/');
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(await page.text()).toContain('ebb help');
});

test('every text in the answer about the server is filled, and its name is its own', async () => {
  const info = (await (await server.send('GET', '/system/info')).json()) as object;
  const version = { sha: 'v0.1.0', release: '0.1.0', commit_message: 'Ebb 0.1.0' };
  expect(info).toEqual({
    provider: { provider: 'ebb', orchestration: 'memory', version },
    version,
    arch: expect.stringMatching(/./) as string,
  });
});

test('without protection whatever is sent as credentials is ignored, an empty bearer token too', async () => {
  await using stack = new AsyncDisposableStack();
  const open = await startApi({ isProtected: false });
  stack.defer(() => open.stop());
  for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: basic('a', 'b') }]) {
    expect((await fetch(`${open.url}/system/functions`, { headers })).status).toBe(200);
  }
  expect((await fetch(`${open.url}/v1/version`)).status).toBe(401);
});
