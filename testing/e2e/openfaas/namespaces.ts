import { describe, expect, test } from 'vitest';
import { DEFAULT_NAMESPACE, type Gateway, jsonOf, shown } from './gateway.ts';

/** `/system/namespaces` and `/system/namespace/{name}`. */
export function describeNamespaces(gateway: () => Gateway): void {
  const names = async () => jsonOf(await gateway().system('GET', '/system/namespaces'));

  describe('namespaces', () => {
    test('the default one is always there', async () => {
      expect(await names()).toContain(DEFAULT_NAMESPACE);
    });

    test.each(['/system/namespace/', '/system/namespace'])('are made by POST to %s with 201', async (path) => {
      const name = gateway().name(path.endsWith('/') ? 'ns-a' : 'ns-b');
      const body = { name, labels: { openfaas: '1', team: 'a' }, annotations: { note: 'b' } };
      const made = await gateway().system('POST', path, body);
      expect(made.status, shown(made)).toBe(201);
      expect(await names()).toContain(name);
      const shownNow = await gateway().system('GET', `/system/namespace/${name}`);
      expect(shownNow.status).toBe(200);
      expect(jsonOf(shownNow)).toMatchObject({
        name,
        labels: { openfaas: '1', team: 'a' },
        annotations: { note: 'b' },
      });
      expect((await gateway().system('POST', path, body)).status).toBe(409);
      const changed = { name, labels: { openfaas: '1', team: 'b' } };
      expect([200, 202]).toContain((await gateway().system('PUT', `/system/namespace/${name}`, changed)).status);
      const after = jsonOf(await gateway().system('GET', `/system/namespace/${name}`)) as { labels: object };
      expect(after.labels).toMatchObject({ team: 'b' });
      const removed = await gateway().system('DELETE', `/system/namespace/${name}`, {
        name,
        labels: { openfaas: '1' },
      });
      expect(removed.status, shown(removed)).toBe(202);
      expect(await names()).not.toContain(name);
      expect((await gateway().system('GET', `/system/namespace/${name}`)).status).toBe(404);
    });

    test('are changed and removed by the path with an s as well', async () => {
      const name = gateway().name('ns-c');
      const body = { name, annotations: { openfaas: '1' } };
      expect((await gateway().system('POST', '/system/namespace/', body)).status).toBe(201);
      expect([200, 202]).toContain((await gateway().system('PUT', `/system/namespaces/${name}`, body)).status);
      expect([200, 202]).toContain((await gateway().system('DELETE', `/system/namespaces/${name}`, body)).status);
    });

    test.each([
      ['neither label nor annotation says openfaas=1', { name: 'plain-one' }],
      ['the label says something else', { name: 'plain-one', labels: { openfaas: '0' } }],
      ['no name', { labels: { openfaas: '1' } }],
      ['a name with capitals', { name: 'Team', labels: { openfaas: '1' } }],
      ['a name that leads out', { name: '../x', labels: { openfaas: '1' } }],
      ['no JSON', '{'],
      ['an empty body', ''],
    ])('POST is refused with 400: %s', async (_what, body) => {
      const answer = await gateway().system('POST', '/system/namespace/', body);
      expect(answer.status, shown(answer)).toBe(400);
    });

    test('an unknown one is 404, and a PUT whose names differ 400', async () => {
      const body = { name: 'nobody-made', labels: { openfaas: '1' } };
      expect((await gateway().system('GET', '/system/namespace/nobody-made')).status).toBe(404);
      expect((await gateway().system('PUT', '/system/namespace/nobody-made', body)).status).toBe(404);
      expect((await gateway().system('DELETE', '/system/namespace/nobody-made', body)).status).toBe(404);
      const name = await gateway().makeNamespace('mismatch');
      expect((await gateway().system('PUT', `/system/namespace/${name}`, body)).status).toBe(400);
    });
  });
}
