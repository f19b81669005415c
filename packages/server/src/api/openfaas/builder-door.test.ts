import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { call } from '../../../../../testing/harness/call.ts';
import { listenOnLoopback } from '../../../../../testing/harness/gateway.ts';
import type { BuildReport, RemoteBuilder } from '../../builds/remote/create-remote-builder.ts';
import { EbbError } from '../../core/errors.ts';
import { createBuilderDoor } from './builder-door.ts';

const REPORTS: readonly BuildReport[] = [
  { log: ['one'], image: 'a', status: 'in_progress' },
  { log: ['two'], image: 'a', status: 'in_progress' },
  { log: [], image: 'a', status: 'success', duration: 1.5 },
];

async function start(builder?: RemoteBuilder | EbbError) {
  const received: string[] = [];
  const fake: RemoteBuilder = {
    publicKey: { key_id: 'AAAAAAAA', algorithm: 'nacl/box', public_key: 'AAAAAAAA' },
    async receive(body, signature) {
      if (!signature) throw new EbbError('BUILD_NOT_SIGNED', 'it is not signed');
      received.push((await buffer(Readable.from(body))).toString());
      return {
        async *run() {
          yield* REPORTS;
        },
        [Symbol.asyncDispose]: () => Promise.resolve(void received.push('disposed')),
      };
    },
  };
  const door = createBuilderDoor({ builder: builder ?? fake, logger: { info: () => {}, error: () => {} } });
  const server = createServer((request, response) => {
    if (!door.handle(request, response)) response.writeHead(418).end();
  });
  const port = await listenOnLoopback(server);
  return {
    received,
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => {
      server.close().closeAllConnections();
      return Promise.resolve();
    },
  };
}

const signed = { 'x-build-signature': `sha256=${'0'.repeat(64)}` };

test('with the wish for lines every report is a line; without it there is one with the whole log', async () => {
  await using door = await start();
  const lines = await call(`${door.url}/build`, {
    body: ['a', 'b'],
    headers: { ...signed, accept: 'application/json, application/x-ndjson' },
  });
  expect([lines.status, lines.headers['content-type']]).toEqual([200, 'application/x-ndjson']);
  expect(lines.text).toBe(REPORTS.map((report) => `${JSON.stringify(report)}\n`).join(''));
  const one = await call(`${door.url}/build?x=1`, { body: 'c', headers: signed });
  expect([one.status, one.headers['content-type']]).toEqual([200, 'application/json']);
  expect(JSON.parse(one.text)).toEqual({ log: ['one', 'two'], image: 'a', status: 'success', duration: 1.5 });
  expect(door.received).toEqual(['ab', 'disposed', 'c', 'disposed']);
});

test('the public key is for everybody, other methods are 405, and other paths are not its own', async () => {
  await using door = await start();
  const key = await call(`${door.url}/publickey`);
  expect(JSON.parse(key.text)).toEqual({ key_id: 'AAAAAAAA', algorithm: 'nacl/box', public_key: 'AAAAAAAA' });
  for (const [method, path, allow] of [
    ['GET', '/build', 'POST'],
    ['POST', '/publickey', 'GET, HEAD'],
  ] as const) {
    const answer = await call(door.url + path, { method });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
  }
  for (const path of ['/', '/builds', '/build/x', '/v1/health']) expect((await call(door.url + path)).status).toBe(418);
});

test('a build that runs when the server shuts down fails, and its client is told', async () => {
  const { promise: started, resolve: begin } = Promise.withResolvers<void>();
  const door = createBuilderDoor({
    builder: {
      publicKey: { key_id: '', algorithm: 'nacl/box', public_key: '' },
      receive: () =>
        Promise.resolve({
          async *run(signal) {
            yield { log: ['one'], image: 'a', status: 'in_progress' };
            begin();
            await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
          },
          [Symbol.asyncDispose]: () => Promise.resolve(),
        }),
    },
    logger: { info: () => {}, error: () => {} },
  });
  const server = createServer((request, response) => void door.handle(request, response));
  const port = await listenOnLoopback(server);
  const answer = call(`http://127.0.0.1:${port}/build`, {
    body: 'a',
    headers: { ...signed, accept: 'application/x-ndjson' },
  });
  await started;
  await door[Symbol.asyncDispose]();
  const [, last = ''] = (await answer).text.trim().split('\n');
  expect(JSON.parse(last)).toMatchObject({
    image: 'a',
    status: 'failed',
    error: expect.stringContaining('shuts down'),
  });
  server.close().closeAllConnections();
});

test('a refusal is one line of text; of a defect nothing is told', async () => {
  await using door = await start();
  const unsigned = await call(`${door.url}/build`, { body: 'a' });
  expect(unsigned).toMatchObject({ status: 401, text: 'it is not signed\n' });
  expect(unsigned.headers['content-type']).toBe('text/plain; charset=utf-8');
  await using none = await start(new EbbError('UNSUPPORTED_BY_ENGINE', 'the process engine cannot build'));
  for (const path of ['/build', '/publickey']) {
    const answer = await call(none.url + path, { method: path === '/build' ? 'POST' : 'GET' });
    expect(answer).toMatchObject({ status: 422, text: 'the process engine cannot build\n' });
  }
  await using broken = await start({
    publicKey: { key_id: '', algorithm: 'nacl/box', public_key: '' },
    receive: () => Promise.reject(new TypeError('inside')),
  });
  const defect = await call(`${broken.url}/build`, { body: 'a', headers: signed });
  expect([defect.status, defect.text.includes('inside')]).toEqual([500, false]);
});
