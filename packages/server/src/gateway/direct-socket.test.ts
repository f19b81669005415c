import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../../../testing/harness/gateway.ts';
import { DirectSocket, readInto } from './direct-socket.ts';

/** An accepted connection that is read into a small buffer, its accepted socket, and its other end. */
async function openPair() {
  const buffer = Buffer.alloc(8);
  const { promise, resolve } = Promise.withResolvers<{ accepted: Socket; socket: DirectSocket }>();
  const server = createServer({ allowHalfOpen: true }, (accepted) => {
    const socket = readInto(buffer, accepted);
    if (!(socket instanceof DirectSocket)) throw new Error('Node does not let a connection be read into a buffer');
    socket.on('error', () => socket.destroy());
    resolve({ accepted, socket });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const peer = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  peer.on('error', () => peer.destroy());
  const pair = await promise;
  const count = () => new Promise<number>((done) => server.getConnections((_error, count) => done(count)));
  return {
    ...pair,
    peer,
    count,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      peer.destroy();
      pair.socket.destroy();
      await closed;
    },
  };
}

describe('a connection that is read into a shared buffer', () => {
  test('gives what comes to its reader, in order, and says where it came from', async () => {
    await using pair = await openPair();
    let text = '';
    let most = 0;
    pair.socket.reader = (buffer, count) => {
      most = Math.max(most, count);
      text += buffer.toString('latin1', 0, count);
    };
    pair.peer.write('more than fits at once');
    await eventually(() => text === 'more than fits at once');
    expect(most).toBe(8);
    expect(pair.socket.remoteAddress).toBe('127.0.0.1');
    expect(pair.socket.remotePort).toBe(pair.peer.localPort);
  });

  test('reads nothing while it is paused, and everything after that', async () => {
    await using pair = await openPair();
    let text = '';
    pair.socket.reader = (buffer, count) => (text += buffer.toString('latin1', 0, count));
    pair.socket.pause();
    pair.peer.write('waits');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(text).toBe('');
    pair.socket.resume();
    await eventually(() => text === 'waits');
  });

  test('is a stream like any other once it has no reader: what was put back comes first, and none is lost', async () => {
    await using pair = await openPair();
    const { socket, peer } = pair;
    let first = '';
    socket.reader = (buffer, count) => {
      first = buffer.toString('latin1', 0, count);
      socket.reader = undefined;
      socket.unshift(Buffer.from(first, 'latin1'));
      socket.pipe(socket);
    };
    const chunks: Buffer[] = [];
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
    // Who does not read makes the other side stop reading, too.
    peer.pause();
    peer.end(sent);
    await new Promise((resolve) => setTimeout(resolve, 30));
    peer.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
    await once(peer, 'end');
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    expect(first.length).toBe(8);
  });

  test('can write after the other side has ended its own', async () => {
    await using pair = await openPair();
    const { socket, peer } = pair;
    socket.once('end', () => socket.end('still'));
    socket.resume();
    peer.end();
    const [answer] = (await once(peer, 'data')) as [Buffer];
    expect(answer.toString()).toBe('still');
    await eventually(() => socket.destroyed);
  });

  test.each(['destroy', 'resetAndDestroy'] as const)(
    'is counted until it is closed, by either side (%s)',
    async (way) => {
      for (const side of ['socket', 'peer'] as const) {
        await using pair = await openPair();
        pair.socket.resume();
        expect(await pair.count()).toBe(1);
        let isClosed = false;
        pair.accepted.once('close', () => (isClosed = true));
        if (side === 'peer') pair.socket.once('end', () => pair.socket.destroy());
        pair[side][way]();
        await eventually(async () => isClosed && (await pair.count()) === 0);
      }
    },
  );

  test('stays what it was where something was read already, or where there is nothing to read from', async () => {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const server = createServer((accepted) => {
      accepted.unshift(Buffer.from('read'));
      resolve(accepted);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const accepted = await promise;
    expect(readInto(Buffer.alloc(8), accepted)).toBe(accepted);
    accepted.destroy();
    expect(readInto(Buffer.alloc(8), accepted)).toBe(accepted);
    peer.destroy();
    server.close();
  });
});
