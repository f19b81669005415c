import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fetch } from '@ebb/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readCredentials } from './read-credentials.ts';
import { readGateway } from './read-gateway.ts';

const STATUS = {
  name: 'resize',
  namespace: 'images',
  image: 'docker.io/me/resize:1',
  envProcess: 'node index.js',
  envVars: { a: '1', empty: '', fprocess: 'node index.js' },
  constraints: ['node.role == worker'],
  secrets: ['api-key'],
  labels: { faas_function: 'resize', uid: '7', team: 'a' },
  annotations: { topic: 'photos' },
  limits: { memory: '40Mi' },
  requests: { cpu: '100m' },
  readOnlyRootFilesystem: true,
  replicas: 1,
  availableReplicas: 1,
  invocationCount: 12,
};

/** A gateway that answers with what a path has. */
function gatewayOf(paths: Readonly<Record<string, unknown>>): { readonly fetch: Fetch; readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    fetch(url, init) {
      const { pathname, search, host } = new URL(url);
      if (host !== 'gateway') return Promise.reject(new Error('no such host'));
      const { authorization = '' } = init.headers as Record<string, string>;
      asked.push(`${authorization} ${pathname}${search}`.trim());
      const found = paths[`${pathname}${search}`];
      if (found instanceof Response) return Promise.resolve(found);
      return Promise.resolve(
        found === undefined ? new Response('no', { status: 404 }) : new Response(JSON.stringify(found)),
      );
    },
  };
}

const read = (fetch: Fetch, more: { namespace?: string; gateway?: string } = {}) =>
  readGateway({
    gateway: 'http://gateway',
    authorization: 'Basic eA==',
    fetch,
    signal: new AbortController().signal,
    ...more,
  });

describe('readGateway', () => {
  test('reads functions, secrets and namespaces, without what the gateway adds', async () => {
    const { fetch, asked } = gatewayOf({
      '/system/namespaces': ['openfaas-fn', 'images'],
      '/system/functions?namespace=openfaas-fn': [],
      '/system/functions?namespace=images': [STATUS],
      '/system/secrets?namespace=openfaas-fn': [{ name: 'spare', namespace: 'openfaas-fn' }],
      '/system/secrets?namespace=images': [{ name: 'api-key', namespace: 'images' }],
      '/system/namespace/images': { name: 'images', labels: { openfaas: '1', team: 'a' } },
    });
    const source = await read(fetch);
    expect(source.functions).toEqual([
      {
        deployment: {
          service: 'resize',
          namespace: 'images',
          image: 'docker.io/me/resize:1',
          envProcess: 'node index.js',
          envVars: { a: '1', empty: '' },
          constraints: ['node.role == worker'],
          secrets: ['api-key'],
          labels: { team: 'a' },
          annotations: { topic: 'photos' },
          limits: { memory: '40Mi' },
          requests: { cpu: '100m' },
          readOnlyRootFilesystem: true,
        },
        notes: [],
      },
    ]);
    expect(source.secrets).toEqual([
      { namespace: 'openfaas-fn', name: 'spare' },
      { namespace: 'images', name: 'api-key' },
    ]);
    expect(source.notes).toEqual(['labels of the namespace "images" do not come over: team']);
    expect(asked.every((one) => one.startsWith('Basic eA== /system/'))).toBe(true);
  });

  test('one that has no namespaces has the default one', async () => {
    const { fetch } = gatewayOf({ '/system/functions?namespace=openfaas-fn': [{ name: 'a', image: 'b' }] });
    const source = await read(fetch);
    expect(source.functions[0]?.deployment).toMatchObject({ namespace: 'openfaas-fn', labels: {}, annotations: {} });
    expect(source.functions[0]?.notes).toEqual(['it is scaled to zero there; here calls start it']);
  });

  test('a namespace that is asked for is the only one', async () => {
    const { fetch, asked } = gatewayOf({ '/system/functions?namespace=images': [STATUS] });
    expect((await read(fetch, { namespace: 'images' })).functions).toHaveLength(1);
    expect(asked.filter((one) => one.includes('namespaces'))).toEqual([]);
  });

  test('says what is wrong: no login, no gateway, nobody there', async () => {
    const refused = gatewayOf({ '/system/namespaces': new Response('', { status: 401 }) });
    await expect(read(refused.fetch)).rejects.toMatchObject({ code: 'LOGIN_REFUSED', exitCode: 4 });
    const page = gatewayOf({ '/system/namespaces': new Response('<html>') });
    await expect(read(page.fetch)).rejects.toThrow('did not answer with JSON; is it a gateway?');
    const other = gatewayOf({});
    await expect(read(other.fetch)).rejects.toThrow('GET /system/functions gave no list');
    const broken = gatewayOf({ '/system/namespaces': new Response('no store', { status: 500 }) });
    await expect(read(broken.fetch)).rejects.toThrow('/system/namespaces answered 500: no store');
    await expect(read(other.fetch, { gateway: 'http://nowhere' })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

describe('readCredentials', () => {
  let home = '';
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'ebb-login-'));
  });
  afterEach(() => rm(home, { recursive: true }));

  const credentials = (more: Partial<Parameters<typeof readCredentials>[0]> = {}) =>
    readCredentials({
      gateway: 'http://gateway:8080',
      username: undefined,
      password: undefined,
      env: { OPENFAAS_CONFIG: home },
      cwd: home,
      ...more,
    });

  test('takes user and password that are given, "admin" where only a password is', async () => {
    expect(await credentials({ password: 'x' })).toBe(`Basic ${btoa('admin:x')}`);
    expect(await credentials({ username: 'me', password: 'x:y' })).toBe(`Basic ${btoa('me:x:y')}`);
    await expect(credentials({ username: 'me' })).rejects.toThrow('--password-stdin');
  });

  test('takes the login that was saved for the gateway, and no other', async () => {
    expect(await credentials()).toBeUndefined();
    const text = [
      'auths:',
      '  - { gateway: "http://other:8080", auth: basic, token: b3RoZXI6eA== }',
      '  - { gateway: "HTTP://Gateway:8080/", auth: basic, token: YWRtaW46eA== }',
      '  - { gateway: "http://sso", auth: oauth2, token: abc }',
    ];
    await writeFile(join(home, 'config.yml'), text.join('\n'));
    expect(await credentials()).toBe('Basic YWRtaW46eA==');
    expect(await credentials({ gateway: 'http://sso' })).toBe('Bearer abc');
    expect(await credentials({ gateway: 'http://third' })).toBeUndefined();
    await writeFile(join(home, 'config.yml'), 'auths: [');
    await expect(credentials()).rejects.toThrow('is not valid YAML');
  });
});
