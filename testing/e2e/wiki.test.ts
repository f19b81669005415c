import path from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readProgress } from '../../packages/server/src/engines/docker/read-progress.ts';
import { describeOnDocker } from '../harness/engines.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

const DIRECTORY = path.join(ROOT, 'examples/wiki');
const IMAGE = 'ebb-test/wiki';

describeOnDocker('the wiki example, an existing program in an image', () => {
  let server: TestServer;

  beforeAll(async () => {
    const docker = new Dockerode({ socketPath: inject('dockerSocket') ?? '' });
    const context = { context: DIRECTORY, src: ['Dockerfile', 'Welcome.wiki', 'Tides.wiki'] };
    const options = { t: IMAGE, buildargs: { BASE: inject('baseImage') ?? '' }, networkmode: 'host' };
    await readProgress(await docker.buildImage(context, options));
    server = await startTestServer({ engine: 'docker', env: { WIKI_IMAGE: IMAGE } });
    await server.ebbOk(['deploy', DIRECTORY], { env: { WIKI_URL: server.functionUrl('wiki') } });
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  test('serves its pages, and its links lead back through the gateway', async () => {
    const response = await fetch(server.functionUrl('wiki', '/wiki?name=Tides'));
    const page = await response.text();
    expect([response.status, page]).toEqual([200, expect.stringContaining('knows nothing of functions')]);
    const link = /href="([^"]*Spring[^"]*)"/.exec(page)?.[1] ?? '';
    const next = await fetch(new URL(link.replaceAll('&amp;', '&'), response.url));
    expect([link, await next.text()]).toEqual([
      expect.stringContaining('/function/wiki.openfaas-fn/'),
      expect.stringContaining('about every fifteen days'),
    ]);
  });

  test('its redirects go to the caller unchanged', async () => {
    const response = await fetch(server.functionUrl('wiki', '/'), { redirect: 'manual' });
    expect(response.status).toBe(302);
    expect(new URL(response.headers.get('location') ?? '', response.url).pathname).toMatch(
      /^\/function\/wiki\.openfaas-fn\//,
    );
  });

  test('an unknown page is its own 404, not the platform’s', async () => {
    const response = await fetch(server.functionUrl('wiki', '/nothing-here'));
    expect([response.status, response.headers.get('x-ebb-error')]).toEqual([404, null]);
  });
});
