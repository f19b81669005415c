import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { eventually } from '../../../../../testing/harness/gateway.ts';
import { createApiGate } from './api-gate.ts';

async function open() {
  const held: (() => void)[] = [];
  const gate = createApiGate((request, response) => {
    if (request.url === '/followed') response.flushHeaders();
    if (request.url !== '/') held.push(() => response.end('own'));
    else response.end('own');
  });
  const server = createServer((request, response) => gate.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  return {
    gate,
    held,
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
  const hold = api.gate.hold().then(() => (isQuiet = true));
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
  await api.gate.hold();
  const waiting = api.send('/');
  await new Promise((resolve) => setTimeout(resolve, 20));
  api.gate.open();
  expect(await waiting).toBe('own');
});
