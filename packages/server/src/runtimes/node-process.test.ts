import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { readProcess } from '../engines/process/proc.ts';
import { useNodeRuntime } from '../../../../testing/harness/node-runtime.ts';

describe('the Node runtime: as a process', { timeout: 30_000 }, () => {
  const { startReady, open, send, stop } = useNodeRuntime();
  test('lines written in a call carry its id, others none', async () => {
    const { target, logs } = await startReady({
      'index.mjs': `console.log('loaded');
        export default { async fetch(request) {
          const name = new URL(request.url).pathname.slice(1);
          process.stdout.write(name + ' one\\n' + name + ' two');
          await new Promise((resolve) => setTimeout(resolve, 20));
          console.log(' and more');
          console.error(Buffer.from('oops').toString());
          return new Response('');
        } };`,
    });
    const call = (name: string) => send(target, `/${name}`, { headers: { 'x-call-id': `id-${name}` } });
    await Promise.all([call('a'), call('b')]);
    const lines = (await logs()).filter(({ source }) => source === 'stdout');
    await expect.poll(async () => (await logs()).filter(({ text }) => text === 'oops').length).toBe(2);
    expect(lines[0]).toMatchObject({ text: 'loaded' });
    expect(lines[0]?.callId).toBeUndefined();
    for (const { text, callId } of lines.slice(1)) {
      if (/^[ab] /.test(text)) expect(callId).toBe(`id-${text[0]}`);
      else expect(text).toBe(' and more');
    }
    const errors = (await logs()).filter(({ source }) => source === 'stderr').map(({ callId }) => callId);
    expect(new Set(errors)).toEqual(new Set(['id-a', 'id-b']));
  });

  test.for([
    [
      'a listener',
      `module.exports = (request, response) => setTimeout(() => response.end('done'), Number(request.url.slice(1)));`,
    ],
    [
      'a fetch handler that began to read',
      `exports.default = { async fetch(request) {
        if (request.body) void request.body.getReader().read();
        await new Promise((resolve) => setTimeout(resolve, Number(new URL(request.url).pathname.slice(1))));
        return new Response('done');
      } };`,
    ],
  ])('a connection stays good for the next call when the body came after the answer, for %s', async ([, code = '']) => {
    const { target } = await startReady({ 'index.cjs': code });
    const socket = connect(target.kind === 'unix' ? target.path : '');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.write('POST /0 HTTP/1.1\r\nHost: f\r\nContent-Length: 5\r\n\r\n');
    await expect.poll(() => text).toMatch(/done/);
    text = '';
    socket.write('hello');
    socket.write('GET /1300 HTTP/1.1\r\nHost: f\r\n\r\n');
    await expect.poll(() => text || socket.destroyed, { timeout: 5_000 }).toMatch(/done/);
    socket.destroy();
  });

  test('the connection of a call whose body never comes is closed after its answer', async () => {
    const { target } = await startReady({
      'index.cjs': `module.exports = (request, response) => response.end('done');`,
    });
    const socket = connect(target.kind === 'unix' ? target.path : '');
    socket.write('POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 5\r\n\r\n');
    await once(socket.resume(), 'close');
  });

  test('answers health and readiness itself', async () => {
    const { target } = await startReady({ 'index.mjs': `export const handler = () => 'mine';` });
    expect(await send(target, '/_/health')).toMatchObject({ status: 200, body: 'ok' });
    expect(await send(target, '/_/ready')).toMatchObject({ status: 200 });
    expect(await send(target, '/_/other')).toMatchObject({ body: 'mine' });
  });

  test('SIGTERM finishes what runs, then ends with code 0 (G2, S2)', async () => {
    const { id, target, exited } = await startReady({
      'index.mjs': `export const handler = async () => {
        await new Promise((resolve) => setTimeout(resolve, 150));
        return 'finished';
      };`,
    });
    const sent = open(target, '/');
    sent.end();
    const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
    // The answer takes a while; the request is in the handler once another one was answered after it.
    await send(target, '/_/health');
    const stopped = stop(id, { graceMs: 5000 });
    const [response] = await answered;
    expect(await readText(response)).toBe('finished');
    await stopped;
    expect(await exited).toMatchObject({ code: 0 });
  });

  test('an unhandled rejection is logged and ends the instance', async () => {
    const { target, exited, logs } = await startReady({
      'index.mjs': `export const handler = () => { Promise.reject(new Error('forgotten')); return 'ok'; };`,
    });
    await send(target, '/').catch(() => {});
    expect(await exited).toMatchObject({ code: 1 });
    const texts = (await logs()).map(({ text }) => text).join('\n');
    expect(texts).toContain('a promise was rejected and nobody handled it');
    expect(texts).toContain('forgotten');
  });

  test('a heap over its limit is told as out of memory (case 12)', async () => {
    const { target, exited } = await startReady({
      'index.mjs': `export const handler = () => { const all = []; for (;;) all.push(new Array(1e5).fill({})); };`,
    });
    await send(target, '/').catch(() => {});
    expect(await exited).toMatchObject({ outOfMemory: true });
  });

  test('what the function started ends with it', async () => {
    const { id, target } = await startReady({
      'index.mjs': `import { spawn } from 'node:child_process';
        export const handler = () => [
          spawn('sleep', ['600']).pid, spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).pid];`,
    });
    const pids = JSON.parse((await send(target, '/')).body) as number[];
    // Where nobody reaps orphans they stay as zombies, which are as good as gone.
    const living = () => pids.filter((pid) => !['Z', undefined].includes(readProcess(pid)?.state));
    expect(living()).toEqual(pids);
    await stop(id, { graceMs: 2000 });
    await expect.poll(living).toEqual([]);
  });
});
