import { request } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import { DEFAULT_NAMESPACE, type Gateway, shown } from './gateway.ts';

interface Line {
  readonly name: string;
  readonly namespace: string;
  readonly instance: string;
  readonly timestamp: string;
  readonly text: string;
}

/** `GET /system/logs`: what functions wrote, one JSON object a line. */
export function describeLogs(gateway: () => Gateway): void {
  let name = '';
  const read = async (query: string): Promise<readonly Line[]> => {
    const answer = await gateway().system('GET', `/system/logs?name=${name}&${query}`);
    expect(answer.status, shown(answer)).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^application\/x-ndjson/);
    return answer.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
  };

  describe('logs', () => {
    beforeAll(async () => {
      name = gateway().name('logs');
      await gateway().serve({ service: name });
    });

    test('without follow they end after the lines that are kept, each with name, place, time and text', async () => {
      await expect.poll(async () => (await read('tail=-1&follow=false')).length, { timeout: 8_000 }).toBeGreaterThan(0);
      const lines = await read('tail=-1&follow=false');
      for (const line of lines) {
        expect(line).toMatchObject({ name, namespace: DEFAULT_NAMESPACE, instance: expect.stringMatching(/./) });
        expect(line.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/);
      }
      expect(lines.map(({ text }) => text).join('\n')).toContain('Serving on 8080');
    });

    test('tail gives the last lines, since those from a moment on, instance those of one', async () => {
      const all = await read('tail=-1');
      expect(await read('tail=1')).toEqual(all.slice(-1));
      expect(await read(`tail=-1&since=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}`)).toEqual(
        [],
      );
      expect((await read('tail=-1&since=2020-01-01T00:00:00Z')).length).toBe(all.length);
      expect(await read('tail=-1&instance=nobody')).toEqual([]);
      expect((await read(`tail=-1&instance=${all[0]?.instance ?? ''}`)).length).toBeGreaterThan(0);
    });

    test.each(['true', '1', 't'])('follow=%s answers at once and gives further lines as they come', async (follow) => {
      const service = gateway().name(`follow-${follow}`);
      await gateway().serve({ service });
      const lines = await new Promise<string>((resolve, reject) => {
        const path = `/system/logs?name=${service}&follow=${follow}&tail=-1`;
        const { authorization } = gateway();
        const headers = authorization === undefined ? {} : { authorization };
        const sent = request(`${gateway().url}${path}`, { headers, agent: false }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`it was answered with ${response.statusCode}`));
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
            if (!text.includes('\n')) return;
            resolve(text);
            response.destroy();
          });
          response.on('end', () => reject(new Error(`the stream ended with ${JSON.stringify(text)}`)));
        });
        sent.on('error', reject).setTimeout(8_000, () => sent.destroy(new Error('no line came in 8 s')));
        sent.end();
      });
      expect(JSON.parse(lines.split('\n')[0] ?? '')).toMatchObject({ name: service });
      await gateway().remove(service);
    });

    test.each(['follow=0', 'follow=f', 'follow=false', 'follow=maybe', 'follow='])('%s ends', async (query) => {
      expect((await read(`${query}&tail=-1`)).length).toBeGreaterThan(0);
    });

    test('of a name that is given twice the last counts', async () => {
      expect((await read('tail=abc&tail=1')).length).toBe(1);
    });

    test.each([
      ['a tail that is no number', 'tail=abc'],
      ['a since that is no moment', 'since=yesterday'],
    ])('%s is 422', async (_what, query) => {
      expect((await gateway().system('GET', `/system/logs?name=${name}&${query}`)).status).toBe(422);
    });

    test('no name is refused', async () => {
      expect([400, 422]).toContain((await gateway().system('GET', '/system/logs')).status);
    });

    test('what instances wrote stays after they are gone', async () => {
      const { own } = gateway();
      const before = await read('tail=-1');
      await gateway().system('POST', `/system/scale-function/${name}`, { serviceName: name, replicas: 0 });
      await expect.poll(async () => (await gateway().status(name)).availableReplicas ?? 0, { timeout: 10_000 }).toBe(0);
      // Others than Ebb need not keep them.
      if (own) expect((await read('tail=-1')).length).toBeGreaterThanOrEqual(before.length);
    });
  });
}
