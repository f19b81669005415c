import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PENDING_SOCKET_NAME } from '../engines/instance-dir.ts';
import { isBlocked } from './is-blocked.ts';

let directory: string;
let asked: number;
let server: Server;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ebb-blocked-'));
  asked = 0;
  server = createServer((_request, response) => {
    asked += 1;
    response.end('ok');
  });
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

const listen = (path: string) => new Promise<void>((resolve) => server.listen(path, resolve));
const blocked = () => isBlocked({ kind: 'unix', path: join(directory, 'sock') }, false);

test('a runtime that answers on its pending socket is not blocked', async () => {
  await listen(join(directory, PENDING_SOCKET_NAME));
  expect(await blocked()).toBe(false);
  expect(asked).toBe(1);
});

test('a link in the place of the socket is not followed to a service of the host', async () => {
  const elsewhere = join(directory, 'elsewhere');
  await listen(elsewhere);
  await symlink(elsewhere, join(directory, PENDING_SOCKET_NAME));
  expect(await blocked()).toBe(true);
  expect(asked).toBe(0);
});
