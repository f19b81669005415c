import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../../../../../testing/harness/gateway.ts';
import { EbbError } from '../../core/errors.ts';
import { createLogger } from '../../core/logger.ts';
import { type HandOverSteps, openHandOver } from './hand-over.ts';
import { callPredecessor } from './predecessor.ts';

/** A server that is ready to be replaced, with what it was told to do. */
async function open(lend: HandOverSteps['lend']) {
  const directory = mkdtempSync(join(tmpdir(), 'ebb-hand-over-'));
  writeFileSync(join(directory, 'server.json'), JSON.stringify({ pid: process.pid }));
  const done: string[] = [];
  const handOver = await openHandOver({
    runDir: directory,
    port: createServer(),
    listen: { host: '127.0.0.1', port: 1 },
    localToken: 'x',
    owners: () => [],
    held: () => Promise.resolve([]),
    abort: (id) => Promise.resolve(id === 'here'),
    logger: createLogger('silent'),
    steps: {
      lend,
      give: () => Promise.resolve(),
      leave: () => {},
      resume: async () => void done.push('resume'),
    },
  });
  return {
    done,
    call: () => callPredecessor({ dataDir: directory, runDir: directory, version: '1' }),
    [Symbol.asyncDispose]: async () => {
      await handOver[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

test('a successor that goes away while changes end is not waited for', async () => {
  const began = Promise.withResolvers<void>();
  await using server = await open((signal) => {
    began.resolve();
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  });
  const predecessor = await server.call();
  const lent = expect(predecessor?.lend()).rejects.toMatchObject({ code: 'TAKEOVER_FAILED' });
  await began.promise;
  predecessor?.[Symbol.dispose]();
  await lent;
  await eventually(() => server.done.length === 1);
  // Another one may come.
  using next = await server.call();
  expect(next?.isThere).toBe(true);
});

test('a successor is told why the store is not handed over, and the server goes on', async () => {
  await using server = await open(() =>
    Promise.reject(new EbbError('TAKEOVER_FAILED', 'PUT /v1/x still runs after 60 s; try again when it has ended')),
  );
  using predecessor = await server.call();
  await expect(predecessor?.lend()).rejects.toThrow(
    `the running server (process ${process.pid}) cannot be replaced: PUT /v1/x still runs after 60 s; try again when it has ended`,
  );
  await eventually(() => server.done.length === 1);
});

test('a successor has an attempt ended that still runs in the old server, and is told when none does', async () => {
  await using server = await open(() => Promise.resolve());
  using predecessor = await server.call();
  expect(await predecessor?.abort('here', 'cancelled')).toBe(true);
  expect(await predecessor?.abort('elsewhere', 'cancelled')).toBe(false);
});
