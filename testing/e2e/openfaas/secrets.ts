import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { DEFAULT_NAMESPACE, type Gateway, jsonOf, shown } from './gateway.ts';

/** `/system/secrets`, and secrets as functions read them. */
export function describeSecrets(gateway: () => Gateway): void {
  const send = (method: string, body: unknown, query = '') => gateway().system(method, `/system/secrets${query}`, body);
  const listed = async (query = '') =>
    jsonOf(await gateway().system('GET', `/system/secrets${query}`)) as readonly { name: string; namespace: string }[];

  describe('secrets', () => {
    test('are made, listed by name with their namespace, replaced and removed', async () => {
      const name = gateway().name('key');
      const made = await send('POST', { name, value: 'one' });
      expect([200, 201, 202], shown(made)).toContain(made.status);
      const list = await gateway().system('GET', '/system/secrets');
      expect(jsonOf(list)).toContainEqual(expect.objectContaining({ name, namespace: DEFAULT_NAMESPACE }));
      expect(list.text).not.toContain('"value"');
      expect((await send('POST', { name, value: 'two' })).status).toBe(409);
      expect([200, 202]).toContain((await send('PUT', { name, value: 'two' })).status);
      expect([200, 202]).toContain((await send('DELETE', { name })).status);
      expect((await listed()).map((one) => one.name)).not.toContain(name);
      expect((await send('DELETE', { name })).status).toBe(404);
      expect((await send('PUT', { name, value: 'three' })).status).toBe(404);
    });

    test('belong to a namespace, named in the body or in the query', async () => {
      const namespace = await gateway().makeNamespace('keys');
      const name = gateway().name('here');
      expect((await send('POST', { name, namespace, value: 'x' })).status).toBeLessThanOrEqual(202);
      expect(await listed(`?namespace=${namespace}`)).toEqual([expect.objectContaining({ name, namespace })]);
      expect((await listed()).map((one) => one.name)).not.toContain(name);
      expect((await send('DELETE', { name })).status).toBe(404);
      expect([200, 202]).toContain((await send('DELETE', { name }, `?namespace=${namespace}`)).status);
    });

    test.each([
      ['no name', { value: 'x' }],
      ['an empty name', { name: '', value: 'x' }],
      ['a name that leads out', { name: '../../etc/passwd', value: 'x' }],
      ['a name with a slash', { name: 'a/b', value: 'x' }],
      ['a name with capitals', { name: 'KEY', value: 'x' }],
      ['a name of dots', { name: '..', value: 'x' }],
      ['a raw value that is no base64', { name: 'bad-raw', rawValue: '%%%' }],
      ['no JSON', '{"name":'],
      ['an empty body', ''],
      ['a list', '[]'],
    ])('%s is refused with 400', async (_what, body) => {
      const answer = await send('POST', body);
      expect(answer.status, shown(answer)).toBe(400);
    });

    test('a removed function leaves its secret free to be removed at once', async () => {
      const name = gateway().name('tied');
      await send('POST', { name, value: 'x' });
      await gateway().deploy({ service: name, secrets: [name] });
      await gateway().remove(name);
      const answer = await send('DELETE', { name });
      expect([200, 202], shown(answer)).toContain(answer.status);
    });

    test('functions read the exact bytes at /var/openfaas/secrets, raw ones before the trimmed text', async () => {
      const text = gateway().name('text');
      const raw = gateway().name('raw');
      await send('POST', { name: text, value: 'plain text' });
      const bytes = Buffer.from([0, 255, 10, 13, 32, 10]);
      await send('POST', { name: raw, value: 'trimmed', rawValue: bytes.toString('base64') });
      const service = gateway().name('reader');
      const envProcess = `cat /var/openfaas/secrets/${text} /var/openfaas/secrets/${raw}`;
      await gateway().serve({ service, envProcess, secrets: [text, raw] });
      const answer = await gateway().invoke(service, { body: '' });
      expect(answer.text).toBe(`plain text${bytes.toString('latin1')}`);
      const status = await gateway().status(service);
      expect(status['secrets']).toEqual([text, raw]);
    });

    test('after a change and a deploy, the first 200 has the new value and comes within 6 s', async () => {
      const name = gateway().name('turn');
      const service = gateway().name('turned');
      const envProcess = `cat /var/openfaas/secrets/${name}`;
      const { image } = gateway();
      await send('POST', { name, value: 'old' });
      await gateway().serve({ service, envProcess, secrets: [name] });
      expect((await gateway().invoke(service, { body: '' })).text).toBe('old');
      const beganAt = performance.now();
      await send('PUT', { name, value: 'new' });
      const answer = await gateway().system('PUT', '/system/functions', {
        service,
        image,
        envProcess,
        secrets: [name],
        annotations: { deployed: String(Date.now()) },
      });
      expect(answer.status, shown(answer)).toBe(202);
      const seen: string[] = [];
      while (performance.now() - beganAt < 6_000) {
        const call = await gateway().invoke(service, { body: '' });
        expect(call.status).toBe(200);
        seen.push(call.text);
        if (call.text === 'new' && seen.filter((one) => one === 'new').length > 20) break;
        await sleep(20);
      }
      expect(seen.at(-1)).toBe('new');
      // Once it has come, the old one does not come back.
      expect(seen.slice(seen.indexOf('new'))).not.toContain('old');
    });
  });
}
