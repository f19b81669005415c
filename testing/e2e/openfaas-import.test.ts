import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { call } from '../harness/call.ts';
import { buildContractImage } from '../harness/contract-image.ts';
import { describeWithDocker } from '../harness/docker.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

const IMAGE = 'ebb-test/openfaas-import:1';
const BUILT = 'ebb-test/openfaas-import-built:1';

describeWithDocker('ebb import openfaas', (socketPath) => {
  let server: TestServer;
  let directory = '';
  beforeAll(async () => {
    await buildContractImage(new Dockerode({ socketPath }), { tag: IMAGE });
    directory = await mkdtemp(join(tmpdir(), 'ebb-import-test-'));
    server = await startTestServer({ engine: 'docker' });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    const docker = new Dockerode({ socketPath });
    for (const image of [IMAGE, BUILT])
      await docker
        .getImage(image)
        .remove({ force: true })
        .catch(() => undefined);
    await rm(directory, { recursive: true });
  });
  const ebb = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    server.ebb(['import', 'openfaas', ...args], {
      cwd: directory,
      env: { DOCKER_HOST: `unix://${socketPath}`, ...env },
    });
  const write = (name: string, text: string) => writeFile(join(directory, name), text);

  test('a stack.yaml comes over with variables, files, secrets and namespaces, and again changes nothing', async () => {
    await write(
      'stack.yaml',
      `version: 1.0
provider: { name: openfaas, gateway: "http://127.0.0.1:8080" }
functions:
  env:
    image: \${IMAGE:-nobody/has-this:1}
    fprocess: env
    environment: { ratio: 1.10, level: info }
    environment_file: [env.yml]
    labels: { com.openfaas.scale.max: 2 }
    annotations: { com.openfaas.profile: gvisor }
    limits: { memory: 64Mi }
  secret:
    image: ${IMAGE}
    namespace: team
    fprocess: cat /var/openfaas/secrets/api-key
    secrets: [api-key]
  Bad_Name:
    image: ${IMAGE}
`,
    );
    await write('env.yml', 'environment:\n  level: debug\n');
    await write('key.txt', 'sesame');
    const nobody = await ebb(['-f', 'stack.yaml'], { IMAGE });
    expect([nobody.code, nobody.stderr]).toEqual([2, expect.stringContaining('--secret team/api-key=FILE')]);
    expect(await server.ebbOk(['list', '--json'])).not.toContain('env');

    const done = await ebb(['-f', 'stack.yaml', '--secret', 'api-key=key.txt'], { IMAGE });
    // One of three cannot be one here, and is said.
    expect(done.code).toBe(1);
    expect(done.stderr).toContain('Bad_Name cannot be brought over: "service" is "Bad_Name"');
    expect(done.stderr).toContain('env: annotation "com.openfaas.profile" is kept but means nothing here');
    expect(done.stderr).not.toContain('sesame');
    const printed = (await call(server.functionUrl('env'))).text;
    for (const line of ['ratio=1.10', 'level=debug', 'fprocess=env']) expect(printed).toContain(line);
    expect((await call(`${server.url}/function/secret.team`)).text).toBe('sesame');

    const again = await ebb(['-f', 'stack.yaml'], { IMAGE });
    expect(again.stdout.toString()).toContain('0 to create, 0 to update, 2 unchanged.');
  });

  test('an image is built from a template and the code, in the folders where they are', async () => {
    await mkdir(join(directory, 'template/own/function'), { recursive: true });
    await mkdir(join(directory, 'hello'));
    await write('template/own/template.yml', 'language: own\nbuild_options:\n  - {name: dev, packages: [make, gcc]}\n');
    await write('template/own/function/usual.txt', 'of the template');
    await write(
      'template/own/Dockerfile',
      `FROM ${IMAGE}\nARG ADDITIONAL_PACKAGE\nENV PACKAGES=$ADDITIONAL_PACKAGE\nCOPY function/ /home/\n`,
    );
    await write('hello/handler.txt', 'of the code');
    const said = 'lang: own, handler: ./hello, fprocess: cat /home/handler.txt /home/usual.txt, build_options: [dev]';
    await write('built.yml', `provider: {name: openfaas}\nfunctions:\n  built: {image: "${BUILT}", ${said}}\n`);
    const plain = await ebb(['-f', 'built.yml', '--dry-run']);
    expect(plain.stderr).toContain(`its image ${BUILT} is made from code (own): build it first, or give --build`);
    const done = await ebb(['-f', 'built.yml', '--build']);
    expect(done.stderr, done.stderr).not.toContain('error:');
    expect((await call(server.functionUrl('built'))).text).toBe('of the codeof the template');
  });

  test('all of a gateway is written into files that "ebb apply" takes', async () => {
    const statuses = [
      {
        name: 'echo',
        namespace: 'openfaas-fn',
        image: IMAGE,
        envProcess: 'cat',
        labels: {},
        annotations: {},
        replicas: 1,
      },
    ];
    const paths: Readonly<Record<string, unknown>> = {
      '/system/namespaces': ['openfaas-fn', 'team'],
      '/system/functions?namespace=openfaas-fn': statuses,
      '/system/functions?namespace=team': [{ ...statuses[0], name: 'other', namespace: 'team' }],
      '/system/secrets?namespace=openfaas-fn': [],
      '/system/secrets?namespace=team': [{ name: 'spare', namespace: 'team' }],
    };
    await using gateway = createServer((request, response) => {
      const isAllowed = request.headers.authorization === `Basic ${btoa('admin:open')}`;
      const found = paths[request.url ?? ''];
      response.statusCode = isAllowed ? (found === undefined ? 404 : 200) : 401;
      response.end(isAllowed && found !== undefined ? JSON.stringify(found) : '');
    });
    await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/`;
    expect((await ebb(['--gateway', address])).code).toBe(4);
    await mkdir(join(directory, 'login'));
    await write('login/config.yml', `auths:\n  - {gateway: "${address}", auth: basic, token: ${btoa('admin:open')}}\n`);
    const done = await ebb(['--gateway', address, '--out', 'ebb.yaml'], { OPENFAAS_CONFIG: join(directory, 'login') });
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining('echo: no limit was set there')]);
    expect(await readFile(join(directory, 'ebb.team.yaml'), 'utf8')).toContain('namespace: team');
    const twice = await ebb(['--gateway', address, '--out', 'ebb.yaml'], { OPENFAAS_CONFIG: join(directory, 'login') });
    expect(twice.stderr).toContain('is there already; name another file');
    await server.ebbOk(['apply', '-f', join(directory, 'ebb.yaml')]);
    expect((await call(server.functionUrl('echo'), { body: 'hi' })).text).toBe('hi');
  });

  test.each([
    [[], 'give either --gateway with the address of a gateway, or -f with a stack.yaml'],
    [['-f', 'stack.yaml', '--gateway', 'http://x'], 'give either --gateway'],
    [['-f', 'nothing.yaml'], 'nothing.yaml cannot be read'],
    [['-f', 'stack.yaml', '--username', 'me'], '--username and --password-stdin are for --gateway'],
    [['--gateway', 'ftp://x'], 'must be an address such as'],
  ])('%j is refused with what to do', async (args, message) => {
    const result = await ebb(args);
    expect([result.code, result.stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});
