import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Gateway, jsonOf } from './gateway.ts';

/** Transport, credentials and what is the same on all paths: section by section as clients rely on it. */
export function describeTransport(gateway: () => Gateway): void {
  describe('credentials', () => {
    const PROTECTED = [
      ['GET', '/system/functions'],
      ['POST', '/system/functions'],
      ['PUT', '/system/functions'],
      ['DELETE', '/system/functions'],
      ['GET', '/system/function/x'],
      ['POST', '/system/scale-function/x'],
      ['GET', '/system/info'],
      ['GET', '/system/secrets'],
      ['GET', '/system/namespaces'],
      ['GET', '/system/logs?name=x'],
      ['POST', '/system/alert'],
      ['GET', '/ui/'],
    ] as const;

    test.each(PROTECTED)('%s %s wants them: 401 with the realm that clients show', async (method, path) => {
      if (gateway().authorization === undefined) return;
      const answer = await gateway().open(path, {
        method,
        ...(method === 'GET' ? {} : { body: '{}', headers: { 'content-length': '2' } }),
      });
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Basic realm="Restricted"');
      expect(answer.text.trim()).toBe('invalid credentials');
    });

    test.each([
      ['an empty bearer', 'Bearer '],
      ['an empty bearer without the space', 'Bearer'],
      ['a wrong password', `Basic ${Buffer.from('admin:wrong').toString('base64')}`],
      ['a password alone', `Basic ${Buffer.from('sesame').toString('base64')}`],
      ['a wrong user', `Basic ${Buffer.from('root:sesame-for-tests').toString('base64')}`],
      ['what is no base64', 'Basic %%%'],
      ['an unknown scheme', 'Digest a'],
    ])('%s is refused with 401', async (_what, authorization) => {
      if (gateway().authorization === undefined) return;
      const answer = await gateway().open('/system/functions', { headers: { authorization } });
      expect(answer.status).toBe(401);
      expect(answer.text.trim()).toBe('invalid credentials');
    });

    test('the check of a login is the list of functions: 200 with the right ones', async () => {
      const answer = await gateway().system('GET', '/system/functions');
      expect(answer.status).toBe(200);
      expect(jsonOf(answer)).toBeInstanceOf(Array);
    });

    test.each(['/function/nobody-knows', '/async-function/nobody-knows'])(
      '%s wants none, whatever a client sends, and never starts a token exchange',
      async (path) => {
        for (const authorization of [undefined, 'Bearer ', 'Basic %%%', 'Bearer xyz']) {
          const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
          const answer = await gateway().open(path, { body: 'x', headers });
          expect(answer.status).toBe(404);
          expect(answer.headers['www-authenticate']).toBeUndefined();
        }
      },
    );
  });

  describe('paths beside the API', () => {
    test('/healthz answers 200 to GET and HEAD without credentials', async () => {
      expect((await gateway().open('/healthz')).status).toBe(200);
      expect((await gateway().open('/healthz', { method: 'HEAD' })).status).toBe(200);
    });

    test('/ leads to /ui/ with 307', async () => {
      const answer = await gateway().open('/');
      expect(answer.status).toBe(307);
      expect(answer.headers.location).toBe('/ui/');
    });

    test.each(['functions.json', 'templates.json'])('the store %s is there for whoever asks', async (file) => {
      // Others than Ebb have theirs elsewhere.
      if (!gateway().own) return;
      const answer = await gateway().open(`/store/${file}`);
      expect([answer.status, answer.headers['content-type']]).toEqual([
        200,
        expect.stringMatching(/^application\/json/),
      ]);
      const path = new URL(`../../fixtures/openfaas-store/${file}`, import.meta.url);
      expect(jsonOf(answer)).toEqual(JSON.parse(readFileSync(path, 'utf8')));
    });

    test('a function without a name is 404, never 401', async () => {
      for (const path of ['/function/.openfaas-fn', '/async-function/.openfaas-fn']) {
        const answer = await gateway().open(path, { body: '' });
        expect(answer.status, path).toBe(404);
      }
    });
  });

  test.each([
    ['PATCH', '/system/functions'],
    ['POST', '/system/function/x'],
    ['GET', '/system/scale-function/x'],
    ['POST', '/system/info'],
    ['PATCH', '/system/secrets'],
    ['POST', '/system/logs'],
    ['DELETE', '/system/logs'],
    ['POST', '/system/namespaces'],
    ['GET', '/system/alert'],
    ['GET', '/async-function/x'],
  ])('%s %s is 405', async (method, path) => {
    const answer = await gateway().system(method, path, method === 'GET' ? undefined : '{}');
    expect(answer.status).toBe(405);
  });

  test.each([undefined, 'text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-8', 'a'])(
    'JSON is read whatever the Content-Type says: %s',
    async (type) => {
      const answer = await gateway().system(
        'DELETE',
        '/system/functions',
        { functionName: 'nobody-knows' },
        type === undefined ? {} : { headers: { 'content-type': type } },
      );
      expect(answer.status).toBe(404);
    },
  );

  test('errors are short texts, which clients print', async () => {
    const answer = await gateway().system('POST', '/system/functions', '{');
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    expect(answer.text.length).toBeGreaterThan(3);
    expect(answer.text.length).toBeLessThan(500);
    expect(answer.text).not.toMatch(/^\s*[{[<]/);
  });

  test('/system/info names a provider that is not faasd, and no text in it is empty', async () => {
    const answer = await gateway().system('GET', '/system/info');
    expect(answer.status).toBe(200);
    const info = jsonOf(answer);
    const text = expect.stringMatching(/./);
    const version = expect.objectContaining({ sha: text, release: text });
    expect(info).toMatchObject({ provider: { provider: text, orchestration: text, version }, version, arch: text });
    expect(info).not.toMatchObject({ provider: { provider: 'faasd' } });
  });
}
