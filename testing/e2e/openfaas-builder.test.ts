import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import nacl from 'tweetnacl';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BuildRequestOptions, packBuild, signBuild } from '../harness/build-request.ts';
import { describeWithDebianPrograms } from '../harness/debian-programs.ts';
import { describeWithDocker } from '../harness/docker.ts';
import { findProcesses } from '../harness/find-processes.ts';
import { eventually } from '../harness/gateway.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';
import { BASE_IMAGE, ensureBaseImage } from '../services/base-image.ts';
import { type RegistryService, startRegistry } from '../services/registry.ts';

const SECRET = 'the payload secret';
const LINES = { accept: 'application/x-ndjson' };

interface Report {
  readonly log: readonly string[];
  readonly image: string;
  readonly status: string;
  readonly error?: string;
  readonly duration?: number;
}

describeWithDebianPrograms('images built by the server, as clients with a remote builder ask for it', () => {
  describeWithDocker('on Docker', (socketPath) => {
    const docker = new Dockerode({ socketPath });
    let server: TestServer;
    let registry: RegistryService;
    let directory: string;

    beforeAll(async () => {
      await ensureBaseImage(docker);
      directory = await mkdtemp(join(tmpdir(), 'ebb-builder-'));
      await writeFile(join(directory, 'secret'), `${SECRET}\n`);
      registry = await startRegistry();
      server = await startTestServer({
        engine: 'docker',
        env: {
          EBB_POOL_SIZE: '0',
          EBB_BUILDER_SECRET_FILE: join(directory, 'secret'),
          EBB_BUILDER_NETWORK: 'none',
          EBB_BUILDER_MAX_ARCHIVE: '2Mi',
        },
      });
    }, 600_000);
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
      await registry?.[Symbol.asyncDispose]();
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    });

    const post = async (given: BuildRequestOptions, headers: Record<string, string> = {}, secret = SECRET) => {
      const body = await packBuild(given);
      return fetch(`${server.url}/build`, {
        method: 'POST',
        body: new Uint8Array(body),
        headers: { ...signBuild(body, secret), ...headers },
      });
    };
    const remove = (image: string) =>
      docker
        .getImage(image)
        .remove({ force: true })
        .catch(() => {});
    const linesOf = async (answer: Response): Promise<Report[]> =>
      (await answer.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Report);

    test('an image is built with arguments and sealed secrets, pushed, and its log told line by line', async () => {
      const image = `${registry.host}/team/built:1`;
      const key = (await (await fetch(`${server.url}/publickey`)).json()) as Record<'key_id' | 'public_key', string>;
      expect(key).toEqual({
        key_id: key.public_key.slice(0, 8),
        algorithm: 'nacl/box',
        public_key: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/) as string,
      });
      const sender = nacl.box.keyPair();
      const nonce = nacl.randomBytes(nacl.box.nonceLength);
      const value = Buffer.from('not for the image');
      const box = nacl.box(value, nonce, Buffer.from(key.public_key, 'base64'), sender.secretKey);
      const secrets = [
        'version: v1',
        'algorithm: nacl/box',
        `key_id: "${key.key_id}"`,
        `public_key: ${Buffer.from(sender.publicKey).toString('base64')}`,
        'secrets:',
        `  token: ${Buffer.concat([nonce, box]).toString('base64')}`,
        '',
      ].join('\n');
      const dockerfile = [
        `FROM ${BASE_IMAGE} AS build`,
        'ARG WHO',
        'COPY function/hello.txt /hello.txt',
        // In two pieces, so that it is what was printed that is found and not the step's name.
        'RUN --mount=type=secret,id=token echo "si""ze $(wc -c < /run/secrets/token) of $WHO $(cat /hello.txt)"',
        'RUN env | sort; test ! -e /run/secrets/token',
        'FROM scratch',
        'COPY --from=build /hello.txt /',
        '',
      ].join('\n');
      const config = { image, buildArgs: { WHO: `ada-${Date.now()}` } };
      const context = { Dockerfile: dockerfile, 'function/hello.txt': 'hello' };
      try {
        const answer = await post({ config, context, secrets, prefix: './' }, LINES);
        expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
        const reports = await linesOf(answer);
        expect(reports.at(-1)).toEqual({ log: [], image, status: 'success', duration: expect.any(Number) as number });
        const log = reports.flatMap((report) => report.log);
        expect(log).toContain(`size ${value.length} of ${config.buildArgs.WHO} hello`);
        expect(log.join('\n')).not.toContain('not for the image');
        // Nothing of the server is in a build: no credentials, no variables of its own.
        expect(log.join('\n')).not.toMatch(/EBB_|the payload secret/);
        const tags = await fetch(`${registry.url}/v2/team/built/tags/list`);
        expect(await tags.json()).toEqual({ name: 'team/built', tags: ['1'] });
      } finally {
        await remove(image);
      }
    });

    test('without the wish for lines there is one answer; what is not to be pushed stays here', async () => {
      const image = `${registry.host}/team/kept:1`;
      try {
        const context = { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' };
        const answer = await post({ config: { image, skipPush: true }, context });
        expect(answer.headers.get('content-type')).toBe('application/json');
        const report = (await answer.json()) as Report;
        expect(report).toMatchObject({ image, status: 'success' });
        expect(report.log.join('\n')).toContain('COPY Dockerfile /');
        expect((await docker.getImage(image).inspect()).RepoTags).toEqual([image]);
        expect((await fetch(`${registry.url}/v2/team/kept/tags/list`)).status).toBe(404);
      } finally {
        await remove(image);
      }
    });

    test('a step that fails, and a registry that is not there, end in "failed" with the reason', async () => {
      const broken = { Dockerfile: `FROM ${BASE_IMAGE}\nRUN echo before && exit 3\n` };
      const reports = await linesOf(await post({ config: { image: 'ebb-test/broken:1' }, context: broken }, LINES));
      expect(reports.flatMap(({ log }) => log)).toContain('before');
      expect(reports.at(-1)).toMatchObject({
        status: 'failed',
        error: expect.stringContaining('exit code: 3') as string,
      });
      const image = '127.0.0.1:9/team/nowhere:1';
      try {
        const context = { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' };
        const report = (await (await post({ config: { image }, context })).json()) as Report;
        expect(report).toMatchObject({ status: 'failed', error: expect.stringContaining('refused') as string });
      } finally {
        await remove(image);
      }
    });

    test('a client that goes away ends its build', async () => {
      const mark = `EBB_TEST_MARK=${Date.now()}`;
      const body = await packBuild({
        config: { image: 'ebb-test/left:1', buildArgs: { EBB_TEST_MARK: mark.split('=')[1] } },
        context: { Dockerfile: `FROM ${BASE_IMAGE}\nARG EBB_TEST_MARK\nRUN echo it "st""arted" && sleep 300\n` },
      });
      const sent = request(`${server.url}/build`, {
        method: 'POST',
        headers: { ...signBuild(body, SECRET), ...LINES, 'content-length': body.length },
      });
      sent.on('error', () => {});
      sent.end(body);
      const [answer] = (await once(sent, 'response')) as [AsyncIterable<Buffer>];
      for await (const chunk of answer) if (chunk.includes('it started')) break;
      expect(await findProcesses(mark)).not.toEqual([]);
      sent.destroy();
      await eventually(async () => (await findProcesses(mark)).length === 0);
      // Both places are free again: two builds at once come through.
      const context = { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' };
      const config = { image: 'ebb-test/after:1', skipPush: true };
      try {
        const both = await Promise.all([post({ config, context }), post({ config, context })]);
        for (const one of both) expect(await one.json()).toMatchObject({ status: 'success' });
      } finally {
        await remove('ebb-test/after:1');
      }
    });

    test('what is not signed, too long or no build is refused in a line of text', async () => {
      const context = { Dockerfile: 'FROM scratch\n' };
      const config = { image: 'ebb-test/never:1' };
      const wrong = await post({ config, context }, {}, 'another secret');
      expect([wrong.status, wrong.headers.get('content-type')]).toEqual([401, 'text/plain; charset=utf-8']);
      expect(await wrong.text()).toMatch(/^the signature does not fit the body[^\n]*\n$/);
      const unsigned = await fetch(`${server.url}/build`, { method: 'POST', body: 'a' });
      expect([unsigned.status, await unsigned.text()]).toEqual([401, expect.stringContaining('X-Build-Signature')]);
      expect((await post({ config: { image: 'Not A Name' }, context })).status).toBe(400);
      expect((await post({ config, context: { a: new Uint8Array(3 * 2 ** 20) } })).status).toBe(413);
      expect((await fetch(`${server.url}/build`)).status).toBe(405);
      expect((await fetch(`${server.url}/publickey`, { method: 'POST' })).status).toBe(405);
      await expect(docker.getImage(config.image).inspect()).rejects.toMatchObject({ statusCode: 404 });
    });
  });

  test('the process engine says that it builds nothing, and a server without the setting has no such paths', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ebb-builder-'));
    try {
      await writeFile(join(directory, 'secret'), SECRET);
      const env = { EBB_POOL_SIZE: '0' };
      await using other = await startTestServer({
        engine: 'process',
        env: { ...env, EBB_BUILDER_SECRET_FILE: join(directory, 'secret') },
      });
      const answer = await fetch(`${other.url}/build`, { method: 'POST', body: 'a' });
      expect([answer.status, await answer.text()]).toEqual([
        422,
        expect.stringContaining('process engine cannot build'),
      ]);
      await using none = await startTestServer({ engine: 'process', env });
      expect((await fetch(`${none.url}/build`, { method: 'POST', body: 'a' })).status).toBe(404);
      expect((await fetch(`${none.url}/publickey`)).status).toBe(404);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
