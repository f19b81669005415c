import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, request as send } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../../../../testing/harness/gateway.ts';
import { openWire } from '../../../../../testing/harness/talk.ts';
import { createFrontDoor, openListener } from '../listener.ts';
import { openRelay } from './relay.ts';

const DOOR = { headersTimeoutMs: 5_000, maxHeaderBytes: 4_096 };

/** An old server on a port, and a successor's door behind a relay socket that it hands on to. */
async function openBoth(options: { readonly onHold?: boolean } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'ebb-relay-'));
  const path = join(directory, 'relay.sock');
  const answerAs = (who: string) => (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('x-from', request.socket.remoteAddress ?? '');
      response.end(`${who} ${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`);
    });
  };
  const upgradeAs = (who: string) => (_request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${who}`);
    if (head.length > 0) socket.write(head);
    socket.pipe(socket);
  };
  const old = await openListener({
    ...DOOR,
    host: '127.0.0.1',
    port: 0,
    maxConnections: 100,
    onPlainRequest: () => false,
    onRequest: answerAs('old'),
    onUpgrade: upgradeAs('old'),
  });
  const door = createFrontDoor({
    ...DOOR,
    isOneShot: true,
    onHold: options.onHold ?? false,
    onPlainRequest: () => false,
    onRequest: answerAs('new'),
    onUpgrade: upgradeAs('new'),
  });
  const relay = await openRelay(path, (socket) => door.take(socket));
  return {
    old,
    door,
    path,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([old.close(0), door.close(0), relay[Symbol.asyncDispose]()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function ask(port: number, agent: Agent, body?: string) {
  const { promise, resolve, reject } = Promise.withResolvers<{ text: string; connection?: string; from?: unknown }>();
  const options = { port, host: '127.0.0.1', agent, path: '/a?b', ...(body === undefined ? {} : { method: 'POST' }) };
  const request = send(options, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.once('end', () =>
      resolve({ text, connection: response.headers.connection ?? '', from: response.headers['x-from'] }),
    );
  });
  request.once('error', reject);
  request.end(body);
  return promise;
}

describe('a server that hands its connections on', () => {
  test('has the next request of a kept connection answered by the successor, as of its caller, and closed with it', async () => {
    await using both = await openBoth();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await ask(both.old.port, agent)).text).toBe('old GET /a?b ');
    both.old.handOn(both.path);
    expect(await ask(both.old.port, agent)).toEqual({ text: 'new GET /a?b ', connection: 'close', from: '127.0.0.1' });
    await eventually(async () => (await both.old.connections()) === 0);
    expect(await ask(both.old.port, agent, 'x'.repeat(100_000))).toMatchObject({ connection: 'close' });
    both.old.handOn(undefined);
    expect((await ask(both.old.port, agent)).text).toBe('old GET /a?b ');
    agent.destroy();
  });

  test('passes on a handshake, with what was sent behind it, on a new and on a kept connection', async () => {
    await using both = await openBoth();
    const handshake =
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nahead';
    const kept = openWire(both.old.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => kept.text().includes('old GET'));
    both.old.handOn(both.path);
    const fresh = openWire(both.old.port, handshake);
    await eventually(() => fresh.text().endsWith('newahead'));
    kept.socket.write(handshake);
    await eventually(() => kept.text().endsWith('newahead'));
    kept.socket.write(' and more');
    await eventually(() => kept.text().endsWith('newahead and more'));
    for (const { socket } of [kept, fresh]) socket.destroy();
    await eventually(async () => (await both.old.connections()) === 0);
  });

  test('keeps who comes waiting with all they sent until the successor begins', async () => {
    await using both = await openBoth({ onHold: true });
    both.old.handOn(both.path);
    const agent = new Agent({ keepAlive: false });
    const answers = [ask(both.old.port, agent), ask(both.old.port, agent, 'body')];
    await new Promise((resolve) => setTimeout(resolve, 50));
    both.door.begin();
    expect((await Promise.all(answers)).map(({ text }) => text)).toEqual(['new GET /a?b ', 'new POST /a?b body']);
  });

  test('says who is to be asked again when the successor cannot be reached', async () => {
    await using both = await openBoth();
    const kept = openWire(both.old.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => kept.text().includes('old GET'));
    both.old.handOn(`${both.path}.none`);
    kept.socket.write('GET /again HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => kept.text().includes('HTTP/1.1 503') && kept.text().includes('DRAINING'));
    kept.socket.destroy();
  });
});

test('a relay takes the line that says whose connection it is in pieces, and none that has no end', async () => {
  await using both = await openBoth();
  const slow = connect(both.path);
  let text = '';
  slow.on('data', (chunk) => (text += chunk.toString()));
  for (const piece of ['192.0.', '2.7\nGET / HT', 'TP/1.1\r\nHost: a\r\n\r\n']) {
    slow.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await eventually(() => text.includes('x-from: 192.0.2.7'));
  slow.destroy();
  const endless = connect(both.path);
  endless.write('x'.repeat(1_000));
  await new Promise<void>((resolve) => endless.once('close', () => resolve()));
});
