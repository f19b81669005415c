import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildContractImage } from '../harness/contract-image.ts';
import { describeWithDocker } from '../harness/docker.ts';
import { deployLab } from '../harness/lab.ts';
import { startLoad } from '../harness/load.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

const PASSWORD = 'a-password-for-tests';
const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** Sends as a client made for OpenFaaS does. */
const send = (server: TestServer, method: string, path: string, body?: unknown, authorization?: string) =>
  fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: authorization ?? `Bearer ${server.file.token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    redirect: 'manual',
  });

interface Status {
  readonly replicas: number;
  readonly availableReplicas: number;
}
const standing = async (server: TestServer, name: string): Promise<readonly [replicas: number, ready: number]> => {
  const status = (await (await send(server, 'GET', `/system/function/${name}`)).json()) as Status;
  return [status.replicas, status.availableReplicas];
};
const within = { timeout: 10_000, interval: 50 };

describe('scaling by hand', () => {
  test('holds over a kill; zero stops the instances, and the next call wakes the function', async () => {
    await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' } });
    await deployLab(server, 'lab');
    const scale = async (replicas: number) =>
      (await send(server, 'POST', '/system/scale-function/lab', { serviceName: 'lab', replicas })).status;
    expect(await scale(2)).toBe(202);
    expect((await standing(server, 'lab'))[0]).toBe(2);
    await expect.poll(() => standing(server, 'lab'), within).toEqual([2, 2]);
    await server.kill();
    await server.start();
    expect((await standing(server, 'lab'))[0]).toBe(2);
    await expect.poll(() => standing(server, 'lab'), within).toEqual([2, 2]);

    expect(await scale(0)).toBe(202);
    expect((await standing(server, 'lab'))[0]).toBe(0);
    await expect.poll(() => standing(server, 'lab'), within).toEqual([0, 0]);
    await server.stop();
    await server.start();
    expect(await standing(server, 'lab')).toEqual([0, 0]);
    expect((await fetch(server.functionUrl('lab', '/who'))).status).toBe(200);
    await expect.poll(() => standing(server, 'lab'), within).toEqual([1, 1]);
  });
});

test('user and password come from files, also where several processes serve', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ebb-basic-auth-'));
  try {
    await writeFile(join(directory, 'basic-auth-user'), 'operator\n');
    await writeFile(join(directory, 'basic-auth-password'), `${PASSWORD}\n`);
    const env = { EBB_SECRET_MOUNT_PATH: directory, EBB_GATEWAYS: '1', EBB_POOL_SIZE: '0' };
    await using server = await startTestServer({ engine: 'process', env });
    const answer = async (path: string, authorization: string) =>
      (await send(server, 'GET', path, undefined, authorization)).status;
    expect(await answer('/system/functions', basic('operator', PASSWORD))).toBe(200);
    expect(await answer('/system/functions', basic('admin', PASSWORD))).toBe(401);
    expect(await answer('/v1/version', basic('operator', PASSWORD))).toBe(200);
    expect([await answer('/healthz', ''), await answer('/', ''), await answer('/ui/', '')]).toEqual([200, 307, 401]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

describeWithDocker('deploys of images', (socketPath) => {
  const image = `ebb-test/operations:${randomBytes(4).toString('hex')}`;
  const docker = new Dockerode({ socketPath });
  let server: TestServer;
  beforeAll(async () => {
    await buildContractImage(docker, { tag: image });
    server = await startTestServer({ engine: 'docker', env: { EBB_POOL_SIZE: '0' } });
  }, 600_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await docker.getImage(image).remove({ force: true });
  });

  const deploy = async (method: string, service: string, envProcess: string, more: object = {}) =>
    (await send(server, method, '/system/functions', { service, image, envProcess, ...more })).status;
  const answerOf = async (name: string) => (await fetch(server.functionUrl(name))).text();

  test('an update that was accepted is not lost when the server is killed at once', async () => {
    expect(await deploy('POST', 'kept', 'echo one')).toBe(202);
    expect(await answerOf('kept')).toBe('one\n');
    expect(await deploy('PUT', 'kept', 'echo two')).toBe(202);
    await server.kill();
    await server.start();
    await expect.poll(() => answerOf('kept'), within).toBe('two\n');
    const shown = await (await send(server, 'GET', '/system/function/kept')).json();
    expect(shown).toMatchObject({ envProcess: 'echo two' });
  });

  test('after a secret was set anew the same deployment answers from it, and no call fails meanwhile', async () => {
    const secrets = { secrets: ['turned'] };
    const read = 'cat /var/openfaas/secrets/turned';
    await send(server, 'POST', '/system/secrets', { name: 'turned', value: 'one' });
    expect(await deploy('POST', 'turned', read, secrets)).toBe(202);
    expect(await answerOf('turned')).toBe('one');
    const load = startLoad(() => fetch(server.functionUrl('turned')), 2);
    expect((await send(server, 'PUT', '/system/secrets', { name: 'turned', value: 'two' })).status).toBe(200);
    expect(await deploy('PUT', 'turned', read, secrets)).toBe(202);
    await expect.poll(() => answerOf('turned'), { timeout: 5_000, interval: 20 }).toBe('two');
    expect((await load.stop()).failures).toEqual([]);
    expect(await answerOf('turned')).toBe('two');
  });

  test('what is removed is gone when that is answered: name and secret are free at once', async () => {
    await send(server, 'POST', '/system/secrets', { name: 'freed', value: 'x' });
    for (const word of ['one', 'two']) {
      expect(await deploy('POST', 'freed', `echo ${word}`, { secrets: ['freed'] })).toBe(202);
      expect(await answerOf('freed')).toBe(`${word}\n`);
      const removed = await send(server, 'DELETE', '/system/functions', { functionName: 'freed' });
      expect([removed.status, (await fetch(server.functionUrl('freed'))).status]).toEqual([202, 404]);
    }
    expect((await send(server, 'DELETE', '/system/secrets', { name: 'freed' })).status).toBe(202);
  });
});
