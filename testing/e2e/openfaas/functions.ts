import { describe, expect, test } from 'vitest';
import { DEFAULT_NAMESPACE, type Gateway, jsonOf, shown } from './gateway.ts';

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;
const NOTES = '{\n  "text": "two\\nlines",\n  "at": "2026-01-02T03:04:05Z"\n}';

/** `/system/functions`, `/system/function/{name}` and `/system/scale-function/{name}`. */
export function describeFunctions(gateway: () => Gateway): void {
  describe('deploying', () => {
    test('POST makes a function with 202, and GET right after shows all that was said, as it was said', async () => {
      const name = gateway().name('echo');
      const { image } = gateway();
      const deployment = {
        service: name,
        image,
        envProcess: 'cat -u',
        envVars: { A: '1', EMPTY: '', TEXT: 'a "b" $c' },
        constraints: ['node.platform.os == linux'],
        labels: { team: 'a', 'com.openfaas.scale.min': '1' },
        annotations: { topic: 'a,b', date: '2026-01-02', notes: NOTES },
        limits: { memory: '128Mi', cpu: '500m' },
        requests: { memory: '64Mi', cpu: '0.1' },
        readOnlyRootFilesystem: true,
      };
      await gateway().deploy(deployment);
      const status = await gateway().status(name);
      expect(status).toMatchObject({
        name,
        image,
        namespace: DEFAULT_NAMESPACE,
        envProcess: 'cat -u',
        constraints: ['node.platform.os == linux'],
        labels: { team: 'a', 'com.openfaas.scale.min': '1', faas_function: name },
        limits: { memory: '128Mi', cpu: '500m' },
        requests: { memory: '64Mi', cpu: '0.1' },
        readOnlyRootFilesystem: true,
      });
      expect(status['envVars']).toEqual({ A: '1', EMPTY: '', TEXT: 'a "b" $c' });
      expect(status.annotations).toMatchObject({ topic: 'a,b', date: '2026-01-02', notes: NOTES });
      expect(status.replicas).toBeGreaterThanOrEqual(1);
      expect(status.createdAt).toMatch(RFC3339);
      expect(Number.isNaN(Date.parse(status.createdAt))).toBe(false);
      expect((await gateway().ready(name)).availableReplicas).toBeGreaterThanOrEqual(1);
    });

    test('what was not said is left out, but labels and annotations are always maps', async () => {
      const name = gateway().name('bare');
      await gateway().deploy({ service: name });
      const status = await gateway().status(name);
      expect(status.labels).toMatchObject({ faas_function: name });
      expect(status.annotations).toEqual(expect.any(Object));
      for (const field of ['envVars', 'limits', 'requests', 'constraints', 'secrets']) {
        expect(Object.hasOwn(status, field), field).toBe(false);
      }
    });

    test('a limit of memory below what an engine takes is accepted and shown as it was given', async () => {
      const name = gateway().name('small');
      await gateway().deploy({ service: name, limits: { memory: '5Mi' }, requests: { memory: '2Mi' } });
      expect(await gateway().status(name)).toMatchObject({ limits: { memory: '5Mi' }, requests: { memory: '2Mi' } });
    });

    test('PUT of an unknown function is 404, so that clients send POST', async () => {
      const { image } = gateway();
      const answer = await gateway().system('PUT', '/system/functions', { service: gateway().name('no'), image });
      expect(answer.status).toBe(404);
    });

    test('PUT replaces all of it with 202: what it does not say is gone', async () => {
      const name = gateway().name('put');
      const { image } = gateway();
      await gateway().serve({ service: name, envProcess: 'cat', labels: { a: '1' }, envVars: { A: '1' } });
      const answer = await gateway().system('PUT', '/system/functions', {
        service: name,
        image,
        envProcess: 'env',
        labels: { b: '2' },
      });
      expect(answer.status, shown(answer)).toBe(202);
      const status = await gateway().status(name);
      expect(status).toMatchObject({ envProcess: 'env', labels: { b: '2' } });
      expect(Object.hasOwn(status.labels, 'a')).toBe(false);
      expect(Object.hasOwn(status, 'envVars')).toBe(false);
      await expect
        .poll(async () => (await gateway().invoke(name, { body: '' })).text, { timeout: 10_000 })
        .toContain('fprocess=env');
    });

    test('POST of a function that is there does not succeed', async () => {
      const name = gateway().name('twice');
      await gateway().deploy({ service: name });
      const { image, own } = gateway();
      const answer = await gateway().system('POST', '/system/functions', { service: name, image });
      expect(own ? [409] : [400, 409, 500]).toContain(answer.status);
    });

    test.each([
      ['no JSON', '{"service":'],
      ['an empty body', ''],
      ['a list', '[]'],
      ['a text', '"x"'],
      ['null', 'null'],
      ['no name', { image: 'IMAGE' }],
      ['an empty name', { service: '', image: 'IMAGE' }],
      ['a name with capitals', { service: 'Hello', image: 'IMAGE' }],
      ['a name that begins with a dash', { service: '-hello', image: 'IMAGE' }],
      ['a name with a dot', { service: 'a.b', image: 'IMAGE' }],
      ['a name with a slash', { service: '../a', image: 'IMAGE' }],
      ['a name with an underscore', { service: 'a_b', image: 'IMAGE' }],
      ['a name of 64 characters', { service: 'a'.repeat(64), image: 'IMAGE' }],
      ['no image', { service: 'NAME' }],
      ['an empty image', { service: 'NAME', image: '' }],
      ['an image with a space', { service: 'NAME', image: 'a b' }],
      ['a secret that is not there', { service: 'NAME', image: 'IMAGE', secrets: ['nobody-set-this'] }],
      ['a secret that leads out', { service: 'NAME', image: 'IMAGE', secrets: ['../../etc/passwd'] }],
      ['a limit of memory that is none', { service: 'NAME', image: 'IMAGE', limits: { memory: 'much' } }],
      ['a limit of CPU that is none', { service: 'NAME', image: 'IMAGE', limits: { cpu: 'fast' } }],
      ['variables that are no texts', { service: 'NAME', image: 'IMAGE', envVars: { A: { b: 1 } } }],
      ['labels that are a list', { service: 'NAME', image: 'IMAGE', labels: ['a'] }],
      ['a namespace with a slash', { service: 'NAME', image: 'IMAGE', namespace: '../x' }],
    ])('%s is refused with 400, and nothing is made', async (what, body) => {
      const name = gateway().name('bad');
      const text = (typeof body === 'string' ? body : JSON.stringify(body))
        .replace('NAME', name)
        .replace('IMAGE', gateway().image);
      for (const method of ['POST', 'PUT']) {
        const answer = await gateway().system(method, '/system/functions', text);
        // What is not there cannot be replaced, whatever else is wrong.
        const allowed = method === 'POST' ? [400] : [400, 404];
        expect(allowed, `${method} ${what}: ${shown(answer)}`).toContain(answer.status);
        expect(answer.text.trim().length).toBeGreaterThan(0);
      }
      expect((await gateway().system('GET', `/system/function/${name}`)).status).toBe(404);
    });

    test('an unknown namespace is refused, and so are values that are far too long', async () => {
      const service = gateway().name('nowhere');
      const { image } = gateway();
      const answer = await gateway().system('POST', '/system/functions', { service, image, namespace: 'nobody-made' });
      expect([400, 404], shown(answer)).toContain(answer.status);
      const long = { service, image, envVars: { A: 'x'.repeat(3_000_000) } };
      expect([400, 413]).toContain((await gateway().system('POST', '/system/functions', long)).status);
    });
  });

  describe('looking', () => {
    test('the list shows functions of one namespace, and is [] where there are none', async () => {
      const namespace = await gateway().makeNamespace('list');
      const empty = await gateway().system('GET', `/system/functions?namespace=${namespace}`);
      expect([empty.status, jsonOf(empty)]).toEqual([200, []]);
      const name = gateway().name('listed');
      await gateway().serve({ service: name, namespace, labels: { a: 'b' } });
      for (const path of ['/', '/a/b?c']) await gateway().invoke(`${name}.${namespace}`, { rest: path, body: 'x' });
      const listed = jsonOf(await gateway().system('GET', `/system/functions?namespace=${namespace}`));
      expect(listed).toMatchObject([{ name, namespace, labels: { a: 'b', faas_function: name }, annotations: {} }]);
      await expect
        .poll(async () => jsonOf(await gateway().system('GET', `/system/functions?namespace=${namespace}`)), {
          timeout: 8_000,
        })
        .toMatchObject([{ invocationCount: 2 }]);
      const others = jsonOf(await gateway().system('GET', '/system/functions')) as readonly { name: string }[];
      expect(others.map((one) => one.name)).not.toContain(name);
    });

    test('the names of the list are those that were deployed, and no others of the platform', async () => {
      const listed = jsonOf(await gateway().system('GET', '/system/functions')) as readonly { name: string }[];
      expect(
        listed.map(({ name }) => name).filter((name) => /prometheus|alertmanager|gateway|queue-worker/.test(name)),
      ).toEqual([]);
    });

    test('an unknown function is 404 with an empty body, in an unknown namespace too', async () => {
      for (const path of ['/system/function/nobody-knows', '/system/function/x?namespace=nobody-made']) {
        const answer = await gateway().system('GET', path);
        expect([answer.status, answer.text], path).toEqual([404, '']);
      }
    });

    test('usage=1 adds what the instances use, in numbers', async () => {
      const name = gateway().name('usage');
      await gateway().serve({ service: name });
      const answer = await gateway().system('GET', `/system/function/${name}?usage=1`);
      expect(jsonOf(answer)).toMatchObject({
        usage: { cpu: expect.any(Number), totalMemoryBytes: expect.any(Number) },
      });
    });
  });

  describe('removing', () => {
    test('is over before it is answered: the name is free at once', async () => {
      const name = gateway().name('gone');
      await gateway().serve({ service: name });
      const answer = await gateway().remove(name);
      expect([200, 202], shown(answer)).toContain(answer.status);
      expect((await gateway().system('GET', `/system/function/${name}`)).status).toBe(404);
      expect((await gateway().invoke(name, { body: '' })).status).toBe(404);
      await gateway().serve({ service: name, envProcess: 'env' });
      expect((await gateway().invoke(name, { body: '' })).text).toContain('fprocess=env');
    });

    test('finds the namespace in the body or in the query, and in the body first', async () => {
      const namespace = await gateway().makeNamespace('both');
      const name = gateway().name('both');
      const send = (path: string, body: object) => gateway().system('DELETE', path, body);
      await gateway().deploy({ service: name, namespace });
      expect((await send('/system/functions', { functionName: name })).status).toBe(404);
      expect((await send(`/system/functions?namespace=${namespace}`, { functionName: name })).status).toBe(202);
      await gateway().deploy({ service: name, namespace });
      const both = await send('/system/functions?namespace=openfaas-fn', { functionName: name, namespace });
      expect(both.status).toBe(202);
    });

    test.each([
      ['an unknown function', { functionName: 'nobody-knows' }, 404],
      ['no name', {}, 400],
      ['an empty name', { functionName: '' }, 400],
      ['no JSON', '{', 400],
      ['an empty body', '', 400],
    ])('%s', async (_what, body, status) => {
      expect((await gateway().system('DELETE', '/system/functions', body)).status).toBe(status);
    });
  });

  describe('scaling by hand', () => {
    test('to zero and back: the number asked for is shown at once, and a call wakes it', async () => {
      const name = gateway().name('scale');
      await gateway().serve({ service: name });
      const scale = (replicas: number) =>
        gateway().system('POST', `/system/scale-function/${name}`, { serviceName: name, replicas });
      expect([200, 202]).toContain((await scale(0)).status);
      expect((await gateway().status(name)).replicas ?? 0).toBe(0);
      await expect.poll(async () => (await gateway().status(name)).availableReplicas ?? 0, { timeout: 10_000 }).toBe(0);
      expect((await gateway().invoke(name, { body: 'awake' })).text).toBe('awake');
      expect([200, 202]).toContain((await scale(2)).status);
      expect((await gateway().status(name)).replicas).toBe(2);
      await expect.poll(async () => (await gateway().status(name)).availableReplicas, { timeout: 10_000 }).toBe(2);
    });

    test('finds the namespace in the body or in the query', async () => {
      const namespace = await gateway().makeNamespace('scale');
      const name = gateway().name('scaled');
      await gateway().deploy({ service: name, namespace });
      const body = { serviceName: name, replicas: 1 };
      const path = `/system/scale-function/${name}`;
      expect((await gateway().system('POST', path, body)).status).toBe(404);
      expect([200, 202]).toContain((await gateway().system('POST', `${path}?namespace=${namespace}`, body)).status);
      expect([200, 202]).toContain((await gateway().system('POST', path, { ...body, namespace })).status);
    });

    test.each([
      ['an unknown function', { serviceName: 'nobody-knows', replicas: 1 }, 404],
      ['a negative number', { serviceName: 'nobody-knows', replicas: -1 }, 400],
      ['a fraction', { serviceName: 'nobody-knows', replicas: 1.5 }, 400],
      ['a text', { serviceName: 'nobody-knows', replicas: 'two' }, 400],
      ['no JSON', '{', 400],
      ['an empty body', '', 400],
    ])('%s', async (_what, body, status) => {
      const answer = await gateway().system('POST', '/system/scale-function/nobody-knows', body);
      expect(answer.status, shown(answer)).toBe(status);
    });
  });
}
