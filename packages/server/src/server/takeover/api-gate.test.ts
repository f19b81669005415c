import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../../../../../testing/harness/gateway.ts';
import { openWire } from '../../../../../testing/harness/talk.ts';
import { createApiGate } from './api-gate.ts';

const GOES_ON = new AbortController().signal;

async function open(limits: Parameters<typeof createApiGate>[1] = {}) {
  const held: (() => void)[] = [];
  const gate = createApiGate((request, response) => {
    if (request.url === '/followed') response.flushHeaders();
    if (request.url !== '/') held.push(() => response.end('own'));
    else response.end('own');
  }, limits);
  const server = createServer((request, response) => gate.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    gate,
    held,
    port,
    send: async (path: string, method = 'POST') => (await fetch(`${url}${path}`, { method })).text(),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('waits for changes under way but not for what is followed, and keeps what comes waiting', async () => {
  await using api = await open();
  const change = api.send('/held');
  const read = api.send('/followed', 'GET');
  await eventually(() => api.held.length === 2);
  let isQuiet = false;
  const hold = api.gate.hold(GOES_ON).then(() => (isQuiet = true));
  let isAnswered = false;
  const later = api.send('/').then((text) => {
    isAnswered = true;
    return text;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([isQuiet, isAnswered]).toEqual([false, false]);
  api.held[0]?.();
  expect(await change).toBe('own');
  await hold;
  expect(isAnswered).toBe(false);
  api.gate.turnOver((_request, response) => response.end('successor'));
  expect(await later).toBe('successor');
  expect(await api.send('/', 'GET')).toBe('successor');
  api.held[1]?.();
  expect(await read).toBe('own');
});

test('opened again, answers those who waited itself', async () => {
  await using api = await open();
  await api.gate.hold(GOES_ON);
  const waiting = api.send('/');
  await new Promise((resolve) => setTimeout(resolve, 20));
  api.gate.open();
  expect(await waiting).toBe('own');
});

test('while a change goes on reads and rollbacks are answered, and with its successor gone everything', async () => {
  await using api = await open();
  const change = api.send('/held');
  await eventually(() => api.held.length === 1);
  const successor = new AbortController();
  const hold = api.gate.hold(successor.signal);
  const later = api.send('/');
  const function_ = '/v1/namespaces/a/functions/b';
  const undoing = [api.send(`${function_}/rollback?to=1`), api.send(`${function_}/rollout/abort`)];
  const reading = api.send(function_, 'GET');
  await eventually(() => api.held.length === 4);
  for (const answer of api.held.slice(1)) answer();
  expect(await Promise.all([...undoing, reading])).toEqual(['own', 'own', 'own']);
  successor.abort(new Error('gone'));
  await expect(hold).rejects.toThrow('gone');
  expect(await later).toBe('own');
  api.held[0]?.();
  expect(await change).toBe('own');
});

test('a change that takes too long is named, and what waits is let in', async () => {
  await using api = await open({ changesMs: 50 });
  const change = api.send('/held');
  await eventually(() => api.held.length === 1);
  const hold = api.gate.hold(GOES_ON);
  const later = api.send('/');
  await expect(hold).rejects.toThrow('POST /held still runs after 0.05 s; try again when it has ended');
  expect(await later).toBe('own');
  api.held[0]?.();
  expect(await change).toBe('own');
});

test('a request that has stopped sending is cut, one that still sends is waited for', async () => {
  await using api = await open({ stalledMs: 100 });
  const head = 'POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n';
  const [stalled, sending] = [openWire(api.port, `${head}x`), openWire(api.port, head)];
  const drip = setInterval(() => sending.socket.write('x'), 10);
  await eventually(() => api.held.length === 2);
  let isQuiet = false;
  const hold = api.gate.hold(GOES_ON).then(() => (isQuiet = true));
  await eventually(() => stalled.isClosed());
  expect([isQuiet, sending.isClosed()]).toEqual([false, false]);
  clearInterval(drip);
  sending.socket.write('x'.repeat(100));
  for (const answer of api.held) answer();
  await hold;
  sending.socket.destroy();
});

test('counts what is let in another way, waits for it, and lets nothing in that way while it holds', async () => {
  await using api = await open();
  const leave = api.gate.enter();
  let isQuiet = false;
  const hold = api.gate.hold(GOES_ON).then(() => (isQuiet = true));
  expect(api.gate.enter()).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isQuiet).toBe(false);
  leave?.();
  await hold;
  expect(api.gate.enter()).toBeUndefined();
  api.gate.open();
  expect(api.gate.enter()).toBeTypeOf('function');
});

test('who can wait is told where its change is to be made once that is known', async () => {
  await using api = await open();
  const first = await api.gate.pass();
  let isQuiet = false;
  const hold = api.gate.hold(GOES_ON).then(() => (isQuiet = true));
  const [opened, turned] = [api.gate.pass(), api.gate.pass()];
  if (first.kind === 'here') first.leave();
  await hold;
  expect(isQuiet).toBe(true);
  api.gate.open();
  expect((await opened).kind).toBe('here');
  for (const passed of [await opened, await turned]) if (passed.kind === 'here') passed.leave();
  expect(api.gate.isTurnedOver).toBe(false);
  await api.gate.hold(GOES_ON);
  const later = api.gate.pass();
  api.gate.turnOver((_request, response) => response.end('successor'));
  expect([(await later).kind, (await api.gate.pass()).kind, api.gate.isTurnedOver]).toEqual([
    'elsewhere',
    'elsewhere',
    true,
  ]);
});
