import { describe, expect, test } from 'vitest';
import { useNodeRuntime } from '../../../../testing/harness/node-runtime.ts';

const json = { 'content-type': 'application/json' };

describe('the Node runtime: event handlers', { timeout: 30_000 }, () => {
  const { startReady, send } = useNodeRuntime();
  const echo = `export const handler = async (event, context) => ({
    event: Buffer.isBuffer(event) ? { bytes: [...event] } : event, id: context.callId });`;

  test('a JSON body is the event, and the result is JSON', async () => {
    const { target } = await startReady({ 'index.mjs': echo });
    const answer = await send(target, '/', { body: '{"a":[1,2]}', headers: { ...json, 'x-call-id': 'c' } });
    expect(answer.headers['content-type']).toBe('application/json');
    expect(JSON.parse(answer.body)).toEqual({ event: { a: [1, 2] }, id: 'c' });
  });

  test('other bodies are text or bytes, and without one the query is the event', async () => {
    const { target } = await startReady({ 'index.mjs': echo });
    const event = async (path: string, body?: string | Buffer, type?: string) => {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
      return JSON.parse((await send(target, path, { headers, ...(body === undefined ? {} : { body }) })).body).event;
    };
    expect(await event('/', 'hällo', 'text/plain; charset=utf-8')).toBe('hällo');
    expect(await event('/', 'a=b', 'application/x-www-form-urlencoded')).toBe('a=b');
    expect(await event('/', Buffer.from([0, 255]), 'image/png')).toEqual({ bytes: [0, 255] });
    expect(await event('/?name=x&n=1')).toEqual({ name: 'x', n: '1' });
    expect(await event('/')).toEqual({});
    expect(await event('/', '{"specversion":"1.0"}', 'application/cloudevents+json')).toEqual({ specversion: '1.0' });
  });

  test('broken JSON is a 400', async () => {
    const { target } = await startReady({ 'index.mjs': echo });
    const answer = await send(target, '/', { body: '{"a":', headers: json });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('not valid JSON');
  });

  test('the result says how it is answered', async () => {
    const { target } = await startReady({
      'index.cjs': `exports.handler = ({ kind }) => ({
        text: 'hello', bytes: new Uint8Array([1, 2]), nothing: undefined, null: null, number: 5, list: [1],
        bare: Object.groupBy([1], () => 'all'), odd: { constructor: null },
        response: new Response('made', { status: 418 }),
      })[kind];`,
    });
    const result = async (kind: string) => {
      const { status, headers, body } = await send(target, `/?kind=${kind}`);
      return [status, headers['content-type'], body];
    };
    expect(await result('text')).toEqual([200, 'text/plain; charset=utf-8', 'hello']);
    expect(await result('bytes')).toEqual([200, 'application/octet-stream', '\x01\x02']);
    expect(await result('nothing')).toEqual([204, undefined, '']);
    expect(await result('null')).toEqual([200, 'application/json', 'null']);
    expect(await result('number')).toEqual([200, 'application/json', '5']);
    expect(await result('list')).toEqual([200, 'application/json', '[1]']);
    expect(await result('bare')).toEqual([200, 'application/json', '{"all":[1]}']);
    expect(await result('odd')).toEqual([200, 'application/json', '{"constructor":null}']);
    expect(await result('response')).toEqual([418, 'text/plain;charset=UTF-8', 'made']);
  });

  test('a default function of an event works, also as CommonJS', async () => {
    const esm = await startReady({ 'index.ts': 'export default (event: { n: number }) => event.n + 1;' });
    expect((await send(esm.target, '/', { body: '{"n":1}', headers: json })).body).toBe('2');
    const cjs = await startReady({ 'index.js': 'module.exports = async (event) => event.n + 2;' });
    expect((await send(cjs.target, '/', { body: '{"n":1}', headers: json })).body).toBe('3');
  });

  test('the context tells about the call and gives secrets', async () => {
    const { target } = await startReady(
      {
        'index.mjs': `export const handler = async (_event, context) => ({
          f: context.function, n: context.namespace, v: context.version,
          left: context.remainingMs() > 0 && context.remainingMs() <= 5000, deadline: context.deadline,
          secret: await context.secret('token'), missing: await context.secret('other').catch((e) => e.message),
          outside: await context.secret('../state.json').catch((e) => e.message),
          aborted: context.signal.aborted,
        });`,
      },
      { EBB_TIMEOUT_MS: '5000' },
    );
    const soon = Date.now() + 4000;
    const answer = JSON.parse((await send(target, '/', { headers: { 'x-ebb-deadline': String(soon) } })).body);
    expect(answer).toMatchObject({ f: 'f', n: 'openfaas-fn', v: 7, left: true, deadline: soon, aborted: false });
    expect(answer.secret).toBe('s3cret');
    expect(answer.missing).toContain('no secret "other"');
    expect(answer.outside).toContain('no secret');
    expect(JSON.parse((await send(target, '/')).body).left).toBe(true);
  });
});
