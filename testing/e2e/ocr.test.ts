import { readFile } from 'node:fs/promises';
import path from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { describeOnDocker } from '../harness/engines.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';
import { readProgress } from '../../packages/server/src/engines/docker/read-progress.ts';

const DIRECTORY = path.join(ROOT, 'examples/ocr');
const IMAGE = 'ebb-test/ocr';

describeOnDocker('the OCR example', () => {
  let server: TestServer;
  let scan: Buffer;

  beforeAll(async () => {
    scan = await readFile(path.join(DIRECTORY, 'scan.jpg'));
    const docker = new Dockerode({ socketPath: inject('dockerSocket') ?? '' });
    const context = { context: DIRECTORY, src: ['Dockerfile', 'server.py'] };
    const options = { t: IMAGE, buildargs: { BASE: inject('baseImage') ?? '' }, networkmode: 'host' };
    await readProgress(await docker.buildImage(context, options));
    server = await startTestServer({ engine: 'docker', env: { OCR_IMAGE: IMAGE } });
    await server.ebbOk(['deploy', DIRECTORY]);
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  test('reads the page', async () => {
    const { code, stdout } = await server.ebb(['invoke', 'ocr'], { input: scan });
    expect(code).toBe(0);
    const words = stdout.toString().replaceAll(/\s+/g, ' ');
    for (const phrase of ['she took me in the closet and prayed', 'a fish-line, but no hooks', 'Deacon Winn']) {
      expect(words).toContain(phrase);
    }
  });

  test('gives the place of every word as a table', async () => {
    const response = await fetch(server.functionUrl('ocr', '/?format=tsv'), {
      method: 'POST',
      body: new Uint8Array(scan),
    });
    expect(response.headers.get('content-type')).toContain('text/tab-separated-values');
    const rows = (await response.text()).split('\n').map((row) => row.split('\t'));
    expect(
      rows
        .find((row) => row[11] === 'hooks.')
        ?.slice(6, 10)
        .every((cell) => Number(cell) > 0),
    ).toBe(true);
  });

  test.each([
    ['what is no scan', '', 'hello', 415],
    ['an empty body', '', '', 400],
    ['a language that is a path', '/?lang=../../etc', 'hello', 400],
    ['an unknown option', '/?speed=11', 'hello', 400],
  ])('refuses %s', async (_title, rest, body, status) => {
    const response = await fetch(server.functionUrl('ocr', rest), { method: 'POST', body });
    expect(response.status).toBe(status);
  });
});
