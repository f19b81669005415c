import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLineChannel } from './line-channel.ts';
import { type FromPredecessor, type FromSuccessor, takeoverSocketName } from './messages.ts';
import { callPredecessor } from './predecessor.ts';

/** A running server that says what `answer` says. */
async function openServer(answer: (message: FromSuccessor) => FromPredecessor | undefined) {
  const directory = mkdtempSync(join(tmpdir(), 'ebb-predecessor-'));
  writeFileSync(join(directory, 'server.json'), JSON.stringify({ pid: process.pid }));
  const server = createServer((socket) => {
    const channel = createLineChannel<FromSuccessor, FromPredecessor>(socket);
    channel.onMessage((message) => {
      const said = answer(message);
      if (said) channel.send(said);
    });
  });
  await new Promise<void>((resolve) => server.listen(join(directory, takeoverSocketName(process.pid)), resolve));
  return {
    call: () => callPredecessor({ dataDir: directory, runDir: directory, version: '1', heldMs: 50 }),
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true });
    },
  };
}

const WELCOME: FromPredecessor = { kind: 'welcome', pid: 1, host: '127.0.0.1', port: 1, localToken: 'x', owners: [] };

test('a server that does not say what it still has is not waited for, and its next answer counts', async () => {
  let isSilent = true;
  await using server = await openServer((message) => {
    if (message.kind === 'hello') return WELCOME;
    return message.kind === 'held' && !isSilent ? { kind: 'held', ask: message.ask, ids: ['a'] } : undefined;
  });
  using predecessor = await server.call();
  expect(await predecessor?.held()).toBeUndefined();
  isSilent = false;
  expect(await predecessor?.held()).toEqual(new Set(['a']));
});

test('a server that does not know how to end an attempt, or has ended, ends none', async () => {
  await using server = await openServer((message) => (message.kind === 'hello' ? WELCOME : undefined));
  using predecessor = await server.call();
  expect(await predecessor?.abort('a', 'cancelled')).toBe(false);
  predecessor?.[Symbol.dispose]();
  await predecessor?.gone;
  expect(await predecessor?.abort('a', 'cancelled')).toBe(false);
});
