import { createServer, connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../../../../../testing/harness/gateway.ts';
import { createLineChannel } from './line-channel.ts';

test('messages come whole and in order however they are cut, and the end of the connection is told', async () => {
  const taken = Promise.withResolvers<Socket>();
  const server = createServer((socket) => taken.resolve(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const far = connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1');
  const channel = createLineChannel<{ readonly n: number }, { readonly text: string }>(await taken.promise);
  const seen: number[] = [];
  channel.onMessage(({ n }) => seen.push(n));
  let said = '';
  far.on('data', (chunk) => (said += chunk.toString()));
  for (const piece of ['{"n"', ':1}\n{"n":2}\n{', '"n":3}\n']) {
    far.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await eventually(() => seen.length === 3);
  expect(seen).toEqual([1, 2, 3]);
  channel.send({ text: 'a\nb' });
  await eventually(() => said === '{"text":"a\\nb"}\n');
  far.destroy();
  await channel.closed;
  channel.send({ text: 'to nobody' });
  server.close();
});
