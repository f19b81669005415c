import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { createHostResolver } from './resolve-host.ts';

const NXDOMAIN = 3;
const TYPE_A = 1;

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

/** A real name server: answers questions for A with these addresses, says that a name is unknown, or is silent. */
async function nameServer(answer: readonly string[] | 'unknown' | 'silent') {
  const socket = createSocket('udp4');
  open.push(socket);
  socket.on('message', (question, from) => {
    if (answer === 'silent') return;
    const end = question.indexOf(0, 12) + 5;
    const isA = question.readUInt16BE(end - 4) === TYPE_A;
    const addresses = answer === 'unknown' || !isA ? [] : answer;
    const head = Buffer.from(question.subarray(0, end));
    head.writeUInt16BE(0x8180 | (answer === 'unknown' ? NXDOMAIN : 0), 2);
    head.writeUInt16BE(addresses.length, 6);
    head.writeUInt16BE(0, 10);
    const records = addresses.map((address) =>
      Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]),
    );
    socket.send(Buffer.concat([head, ...records]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { server: `127.0.0.1:${socket.address().port}` };
}

describe('createHostResolver', () => {
  test('answers with every address that DNS has', async () => {
    const { server } = await nameServer(['192.0.2.1', '10.0.0.1']);
    const resolve = createHostResolver({ servers: [server], lookup: () => Promise.reject(new Error('not asked')) });
    expect(await resolve('mixed.example')).toEqual(['192.0.2.1', '10.0.0.1']);
  });

  test('asks the host itself for what DNS does not know', async () => {
    const { server } = await nameServer('unknown');
    const resolve = createHostResolver({ servers: [server], lookup: (host) => Promise.resolve([`of ${host}`]) });
    expect(await resolve('hooks.internal')).toEqual(['of hooks.internal']);
  });

  test('asks the host itself for names without a dot, which are nobody’s outside', async () => {
    const { server } = await nameServer('silent');
    const resolve = createHostResolver({ servers: [server], lookup: (host) => Promise.resolve([`of ${host}`]) });
    expect(await resolve('localhost')).toEqual(['of localhost']);
  });

  test('case 27: a silent name server is an error, and the host’s threads are not asked', async () => {
    const { server } = await nameServer('silent');
    let lookups = 0;
    const resolve = createHostResolver({
      servers: [server],
      timeoutMs: 20,
      lookup: () => {
        lookups += 1;
        return Promise.resolve([]);
      },
    });
    await expect(resolve('slow.example')).rejects.toMatchObject({ code: 'ETIMEOUT' });
    expect(lookups).toBe(0);
  });

  test('the host is asked by two at once at most, and all get their turn', async () => {
    const { server } = await nameServer('unknown');
    let now = 0;
    let most = 0;
    const resolve = createHostResolver({
      servers: [server],
      lookup: async (host) => {
        now += 1;
        most = Math.max(most, now);
        await new Promise((done) => setTimeout(done, 5));
        now -= 1;
        if (host === 'c') throw new Error('unknown');
        return [host];
      },
    });
    const all = await Promise.allSettled(['a', 'b', 'c', 'd.x', 'e.x', 'f.x'].map((host) => resolve(host)));
    expect(all.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ]);
    expect(most).toBe(2);
  });
});
