import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { useNodeRuntime } from '../../../../testing/harness/node-runtime.ts';

describe('the Node runtime: fetch handlers', { timeout: 30_000 }, () => {
  const { startReady, open, send } = useNodeRuntime();
  test('a TypeScript default export gets a Request and answers with a Response', async () => {
    const { target } = await startReady({
      'index.ts': `
        interface Seen { readonly method: string }
        export default {
          async fetch(request: Request, context: { readonly callId: string }): Promise<Response> {
            const seen: Seen & Record<string, unknown> = {
              method: request.method, url: request.url, header: request.headers.get('x-thing'),
              body: await request.text(), callId: context.callId,
            };
            return Response.json(seen, { status: 201, headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2']] });
          },
        };`,
    });
    const answer = await send(target, '/a/b?c=d', {
      method: 'PUT',
      body: 'hello',
      headers: { host: 'example.test', 'x-thing': 'yes', 'x-call-id': 'call-1', 'x-forwarded-proto': 'https' },
    });
    expect(answer.status).toBe(201);
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.headers['content-length']).toBe(String(answer.body.length));
    expect(JSON.parse(answer.body)).toEqual({
      method: 'PUT',
      url: 'https://example.test/a/b?c=d',
      header: 'yes',
      body: 'hello',
      callId: 'call-1',
    });
  });

  test('a named fetch export works, and HEAD, 204 and null bodies have no body', async () => {
    const { target } = await startReady({
      'index.mjs': `export function fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === '/204') return new Response(null, { status: 204 });
        return new Response('body', { headers: { 'x-path': pathname } });
      }`,
    });
    expect(await send(target, '/204')).toMatchObject({ status: 204, body: '' });
    expect(await send(target, '/x', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
    expect(await send(target, '/x')).toMatchObject({ status: 200, body: 'body' });
  });

  test('a handler that asks for little does not load fetch, which would slow its start', async () => {
    const { target } = await startReady({
      'index.mjs': `export default { async fetch(request) {
        const seen = [new URL(request.url).pathname, request.headers.get('host'), await request.text()];
        const loaded = process.moduleLoadList.filter((name) => name.includes('undici'));
        return Response.json([...seen, loaded], { status: 200, headers: { 'x-a': 'b' } });
      } };`,
    });
    const answer = await send(target, '/p', { body: 'text', headers: { host: 'h' } });
    expect(JSON.parse(answer.body)).toEqual(['/p', 'h', 'text', []]);
  });

  test('a handler that kept the real classes when it was loaded is given what they take', async () => {
    const { target } = await startReady({
      'index.mjs': `class Mine extends Request {}
        export default { async fetch(request) {
          const mine = new Mine(request, { headers: { 'x-a': 'b' } });
          return new Response([mine.method, mine.headers.get('x-a'), await mine.text(), request instanceof Request]);
        } };`,
    });
    expect(await send(target, '/', { body: 'text' })).toMatchObject({ status: 200, body: 'POST,b,text,true' });
  });

  test('bodies stream both ways at once', async () => {
    const { target } = await startReady({
      'index.ts': `export default { fetch: (request: Request) => new Response(request.body) };`,
    });
    const sent = open(target, '/', { method: 'POST' });
    sent.write('first');
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    expect(String((await once(response, 'data'))[0])).toBe('first');
    const next = once(response, 'data');
    sent.write('second');
    expect(String((await next)[0])).toBe('second');
    sent.end();
    await once(response, 'end');
  });

  test('server-sent events arrive one by one, and the answer begins before the first', async () => {
    const { target } = await startReady({
      'index.mjs': `
        let go;
        export default { fetch(request) {
          if (new URL(request.url).pathname === '/go') { go(); return new Response('went'); }
          const body = new ReadableStream({ start(controller) {
            const encoder = new TextEncoder();
            let count = 0;
            go = () => controller.enqueue(encoder.encode('data: ' + (count += 1) + '\\n\\n'));
          } });
          return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
        } };`,
    });
    const sent = open(target, '/events');
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    expect(response.headers['content-type']).toBe('text/event-stream');
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      const arrived = once(response, 'data');
      await send(target, '/go');
      expect(String((await arrived)[0])).toBe(event);
    }
    sent.destroy();
  });

  test('a slow reader holds the producer back, and a large body arrives whole', async () => {
    const { target } = await startReady({
      'index.mjs': `
        let produced = 0;
        export default { fetch(request) {
          if (new URL(request.url).pathname === '/produced') return new Response(String(produced));
          const block = new Uint8Array(65536);
          return new Response(new ReadableStream({ pull(controller) {
            produced += 1;
            controller.enqueue(block);
            if (produced === 512) controller.close();
          } }));
        } };`,
    });
    const sent = open(target, '/');
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const produced = async () => Number((await send(target, '/produced')).body);
    await expect.poll(produced).toBeGreaterThan(0);
    const before = await produced();
    expect(before).toBeLessThan(256);
    let received = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) received += chunk.length;
    expect(received).toBe(512 * 65_536);
  });

  test('a caller that goes away aborts the request and cancels the answer', async () => {
    const { target } = await startReady({
      'index.mjs': `
        const seen = [];
        export default { fetch(request, context) {
          if (new URL(request.url).pathname === '/seen') return Response.json(seen);
          request.signal.addEventListener('abort', () => seen.push('request.signal'));
          context.signal.addEventListener('abort', () => seen.push('context.signal'));
          return new Response(new ReadableStream({
            start(controller) { controller.enqueue(new Uint8Array(1)); },
            cancel() { seen.push('cancel'); },
          }));
        } };`,
    });
    const sent = open(target, '/');
    sent.on('error', () => {});
    sent.end();
    await once(sent, 'response');
    sent.destroy();
    const seen = async () => JSON.parse((await send(target, '/seen')).body).toSorted();
    await expect.poll(seen).toEqual(['cancel', 'context.signal', 'request.signal']);
  });

  test('a completed request is not aborted', async () => {
    const { target } = await startReady({
      'index.mjs': `
        let aborted = 0;
        export default { fetch(request) {
          const answer = String(aborted);
          request.signal.addEventListener('abort', () => { aborted += 1; });
          return new Response(answer);
        } };`,
    });
    await send(target, '/');
    await send(target, '/');
    expect((await send(target, '/')).body).toBe('0');
  });

  test('an error is a 500 with its message and without its stack, which is logged', async () => {
    const { target, logs } = await startReady({
      'index.mjs': `export default { async fetch(request) {
        if (new URL(request.url).pathname === '/nothing') return undefined;
        throw new Error('it broke');
      } };`,
    });
    const answer = await send(target, '/', { headers: { 'x-call-id': 'c-1' } });
    expect(answer).toMatchObject({ status: 500, body: '{"error":"it broke"}' });
    await expect.poll(async () => (await logs()).map(({ text }) => text).join('\n')).toContain('index.mjs:3');
    expect((await logs())[0]).toMatchObject({ source: 'stderr', callId: 'c-1', text: 'Error: it broke' });
    expect((await send(target, '/nothing')).body).toContain('not a Response');
  });

  test('an error after the answer began cuts the connection', async () => {
    const { target } = await startReady({
      'index.mjs': `export default { fetch: () => new Response(new ReadableStream({
        async pull(controller) {
          if (this.sent) throw new Error('too late');
          this.sent = true;
          controller.enqueue(new TextEncoder().encode('some'));
          await new Promise((resolve) => setTimeout(resolve, 5));
        } })) };`,
    });
    await expect(send(target, '/')).rejects.toThrow('aborted');
    await expect(send(target, '/')).rejects.toThrow('aborted');
  });
});
