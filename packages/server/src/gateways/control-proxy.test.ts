import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, createServer, type IncomingMessage, request as send, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createControlProxy, openControlSocket } from './control-proxy.ts';

/** A gateway's door, behind which a first process answers as `handle` says. */
async function openBoth(handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'ebb-control-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'control.sock');
  const socket = stack.use(await openControlSocket(path, handle));
  const proxy = stack.use(createControlProxy(path));
  const door = createServer((request, response) => proxy.pass(request, response));
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  stack.defer(() => door.closeAllConnections());
  stack.defer(() => void door.close());
  const { port } = door.address() as AddressInfo;
  return { port, socket, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function ask(port: number, { method = 'POST', body = 'hi', from = '127.0.0.1' } = {}) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = { 'X-Ebb-Peer': '6.6.6.6', 'X-Mine': 'kept' };
  const agent = new Agent({ keepAlive: false });
  const request = send({ port, host: '127.0.0.1', localAddress: from, method, path: '/v1/x?y', headers, agent });
  request.once('error', reject);
  request.once('response', (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
  });
  request.end(body);
  return promise;
}

test('requests of a gateway follow each other on one connection, each with its own caller’s address', async () => {
  const connections = new Set<unknown>();
  await using both = await openBoth((request, response) => {
    connections.add(request.socket);
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.once('end', () => {
      const { remoteAddress } = request.socket;
      const { 'x-ebb-peer': peer, 'x-mine': mine } = request.headers;
      response.statusCode = 202;
      response.end(JSON.stringify([request.method, request.url, body, remoteAddress, peer ?? null, mine]));
    });
  });
  for (let n = 0; n < 20; n += 1) {
    const from = `127.0.0.${1 + (n % 3)}`;
    const { status, text } = await ask(both.port, { body: `call ${n}`, from });
    expect([status, JSON.parse(text)]).toEqual([202, ['POST', '/v1/x?y', `call ${n}`, from, null, 'kept']]);
  }
  expect(connections.size).toBe(1);
});

test('an answer that comes before the body has is not lost, nor is what comes after it', async () => {
  await using both = await openBoth((request, response) => {
    if (request.method === 'PUT') {
      response.statusCode = 413;
      response.end('too large');
      return;
    }
    request.resume().once('end', () => response.end('ok'));
  });
  const large = 'x'.repeat(2_000_000);
  for (let n = 0; n < 5; n += 1) {
    expect(await ask(both.port, { method: 'PUT', body: large })).toEqual({ status: 413, text: 'too large' });
    expect(await ask(both.port)).toEqual({ status: 200, text: 'ok' });
  }
});

test('a first process that is gone is a refusal that says so', async () => {
  await using both = await openBoth((_request, response) => void response.end('ok'));
  expect((await ask(both.port)).status).toBe(200);
  await both.socket[Symbol.asyncDispose]();
  const { status, text } = await ask(both.port);
  expect([status, text]).toEqual([503, expect.stringContaining('cannot be reached')]);
});
