import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readProgress } from '../../packages/server/src/engines/docker/read-progress.ts';
import { newShortId } from '../../packages/server/src/core/ids.ts';
import { buildContractImage } from '../harness/contract-image.ts';
import { describeWithDebianPrograms } from '../harness/debian-programs.ts';
import { describeWithDocker } from '../harness/docker.ts';
import { buildImage } from './base-image.ts';
import { startRegistry } from './registry.ts';

describeWithDebianPrograms('the registry of a test', () => {
  test('a registry of one test has nothing of another', async () => {
    await using first = await startRegistry();
    await using second = await startRegistry();
    expect(first.port).not.toBe(second.port);
    for (const { url } of [first, second]) {
      const answer = await fetch(`${url}/v2/`);
      expect([answer.status, answer.headers.get('docker-distribution-api-version')]).toEqual([200, 'registry/2.0']);
      expect(await (await fetch(`${url}/v2/_catalog`)).json()).toEqual({ repositories: [] });
    }
  });

  describeWithDocker('with function images', (socketPath) => {
    const docker = new Dockerode({ socketPath });
    const tag = `ebb-test/contract:${newShortId(4)}`;
    beforeAll(() => buildContractImage(docker, { tag }), 600_000);
    afterAll(() => docker.getImage(tag).remove({ force: true }));

    /** Runs the image and hands over the address it serves at. */
    const withContainer = async (
      env: readonly string[],
      check: (url: string, container: Dockerode.Container) => Promise<void>,
    ) => {
      const container = await docker.createContainer({ Image: tag, Env: [...env] });
      try {
        await container.start();
        const { NetworkSettings } = await container.inspect();
        const url = `http://${Object.values(NetworkSettings.Networks)[0]?.IPAddress}:8080`;
        await vi.waitFor(async () => expect((await fetch(`${url}/_/health`)).status).toBe(200), { timeout: 10_000 });
        await check(url, container);
      } finally {
        await container.remove({ force: true, v: true });
      }
    };

    test('an image pushed to it can be pulled again', async () => {
      await using registry = await startRegistry();
      const image = `${registry.host}/team/tiny:1`;
      // As small as can be: what is tested is the way, and compressing a Debian takes seconds.
      const contextDir = await mkdtemp(join(tmpdir(), 'ebb-tiny-'));
      try {
        await writeFile(join(contextDir, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
        await buildImage(docker, { tag: image, contextDir });
        const built = await docker.getImage(image).inspect();
        await readProgress(await docker.getImage(image).push({ authconfig: {} }));
        expect(await (await fetch(`${registry.url}/v2/team/tiny/tags/list`)).json()).toEqual({
          name: 'team/tiny',
          tags: ['1'],
        });
        await docker.getImage(image).remove({ force: true });
        await readProgress(await docker.pull(image));
        expect((await docker.getImage(image).inspect()).Id).toBe(built.Id);
      } finally {
        await docker
          .getImage(image)
          .remove({ force: true })
          .catch(() => {});
        await rm(contextDir, { recursive: true });
      }
    });

    test('its function answers with what fprocess makes of the body, and with headers as environment', async () => {
      await withContainer([], async (url) => {
        const body = 'x'.repeat(300_000);
        expect(await (await fetch(url, { method: 'POST', body })).text()).toBe(body);
      });
      await withContainer(['fprocess=env'], async (url) => {
        const answer = await fetch(`${url}/a/b?testing=1`, { headers: { 'x-call-id': 'c1' } });
        const lines = (await answer.text()).split('\n');
        expect(lines).toEqual(
          expect.arrayContaining(['Http_Method=GET', 'Http_Path=/a/b', 'Http_Query=testing=1', 'Http_X_Call_Id=c1']),
        );
      });
      await withContainer(['fprocess=false'], async (url) => {
        const answer = await fetch(url, { method: 'POST', body: 'x' });
        expect([answer.status, await answer.text()]).toEqual([500, 'exit status 1\n']);
      });
    });

    test('its container is healthy, and drains on SIGTERM: unhealthy at once, the call under way answered', async () => {
      await withContainer(['fprocess=sleep 2', 'healthcheck_interval=1'], async (url, container) => {
        await vi.waitFor(async () => expect((await container.inspect()).State.Health?.Status).toBe('healthy'), {
          timeout: 10_000,
        });
        const call = fetch(url, { method: 'POST', body: '' });
        await vi.waitFor(async () => {
          const { Processes } = await container.top();
          expect(Processes.flat().join(' ')).toContain('sleep 2');
        });
        const ended = container.wait();
        await container.kill({ signal: 'SIGTERM' });
        await vi.waitFor(async () => expect((await fetch(`${url}/_/health`)).status).toBe(503), { interval: 20 });
        expect((await call).status).toBe(200);
        expect(await ended).toMatchObject({ StatusCode: 0 });
      });
    });
  });
});
