import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  codeResourceSchema,
  type CodeResource,
  deployResourceSchema,
  functionResourceSchema,
  instanceResourceSchema,
  type LogLine,
  logLineSchema,
  versionResourceSchema,
} from '@ebb/contract';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EbbError } from '../core/errors.ts';
import { SECRET, startApi } from '../../../../testing/harness/api.ts';

const HOME = '/v1/namespaces/openfaas-fn';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const json = async (response: Response): Promise<unknown> => response.json();

async function tarOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, Buffer.from(content));
  archive.finalize();
  return Buffer.concat(await Array.fromAsync(archive as AsyncIterable<Buffer>));
}

async function upload(body: Buffer, type = 'application/x-tar', namespace = 'openfaas-fn'): Promise<Response> {
  return server.send('POST', `/v1/namespaces/${namespace}/code`, new Uint8Array(body), { 'content-type': type });
}

describe('namespaces', () => {
  test('are made once, listed, and removed when they are empty', async () => {
    const made = await json(await server.send('PUT', '/v1/namespaces/team-a'));
    expect(made).toEqual({ name: 'team-a', createdAt: expect.any(String) });
    expect(await json(await server.send('PUT', '/v1/namespaces/team-a'))).toEqual(made);
    expect(await json(await server.send('GET', '/v1/namespaces/team-a'))).toEqual(made);
    const list = (await json(await server.send('GET', '/v1/namespaces'))) as { name: string }[];
    expect(list.map((one) => Object.keys(one))).toEqual([
      ['name', 'createdAt'],
      ['name', 'createdAt'],
    ]);
    const removed = await server.send('DELETE', '/v1/namespaces/team-a');
    expect([removed.status, await removed.text()]).toEqual([204, '']);
    expect(await json(await server.send('GET', '/v1/namespaces/team-a'))).toMatchObject({
      code: 'NAMESPACE_NOT_FOUND',
      message: 'there is no namespace "team-a"; `ebb namespace list` shows what there is',
    });
  });
});

describe('functions', () => {
  test('are deployed, read back, listed with their versions, and removed with their log', async () => {
    const path = `${HOME}/functions/web`;
    const first = await server.send('PUT', `${path}?probe=false`, { spec: { image: 'example:1', labels: { a: 'b' } } });
    expect(first.status).toBe(200);
    expect(deployResourceSchema.parse(await json(first))).toMatchObject({
      namespace: 'openfaas-fn',
      name: 'web',
      version: 1,
      change: 'created',
      state: 'idle',
      instances: 0,
      path: '/function/web',
      spec: { image: 'example:1', concurrency: 10 },
    });
    const again = await json(await server.send('PUT', path, { spec: { image: 'example:1', labels: { a: 'b' } } }));
    expect(again).toMatchObject({ version: 1, change: 'unchanged' });
    const second = await json(await server.send('PUT', path, { spec: { image: 'example:2' } }));
    expect(second).toMatchObject({ version: 2, change: 'updated' });
    expect(functionResourceSchema.parse(await json(await server.send('GET', path)))).toMatchObject({ version: 2 });
    const list = await json(await server.send('GET', `${HOME}/functions`));
    expect(
      z
        .array(functionResourceSchema)
        .parse(list)
        .map((one) => one.name),
    ).toContain('web');
    const versions = z.array(versionResourceSchema).parse(await json(await server.send('GET', `${path}/versions`)));
    expect(versions.map((one) => [one.version, one.live])).toEqual([
      [2, true],
      [1, false],
    ]);
    server.logs.append(logLine('web', 'gone with the function'));
    expect((await server.send('DELETE', path)).status).toBe(204);
    expect(await json(await server.send('GET', path))).toMatchObject({
      code: 'FUNCTION_NOT_FOUND',
      message: 'there is no function "web" in namespace "openfaas-fn"; "ebb list" shows what is deployed',
    });
    await server.send('PUT', path, { spec: { image: 'example:3' } });
    expect(await (await server.send('GET', `${path}/logs`)).text()).toBe('');
  });

  test('a deploy that does not come up says why with the last lines, and the old version stays', async () => {
    const path = `${HOME}/functions/frail`;
    await server.send('PUT', path, { spec: { image: 'good:1' } });
    server.gate.prove = () =>
      Promise.reject(new EbbError('DEPLOY_FAILED', 'the first instance ended with code 1', { logs: ['boom'] }));
    const failed = await server.send('PUT', path, { spec: { image: 'bad:1' } });
    server.gate.prove = () => Promise.resolve();
    expect(failed.status).toBe(422);
    expect(await json(failed)).toMatchObject({ code: 'DEPLOY_FAILED', component: 'registry', logs: ['boom'] });
    expect(await json(await server.send('GET', path))).toMatchObject({ version: 1, spec: { image: 'good:1' } });
  });

  test('T3, fault case 30: code, secrets and namespaces that are not there are refused by name', async () => {
    await server.send('PUT', '/v1/namespaces/other');
    await server.send('PUT', '/v1/namespaces/other/secrets/theirs', { value: 'x' });
    const path = `${HOME}/functions/thief`;
    expect(await json(await server.send('PUT', path, { spec: { image: 'a:1', secrets: ['theirs'] } }))).toMatchObject({
      code: 'SECRET_NOT_FOUND',
    });
    const digest = `sha256:${'0'.repeat(64)}`;
    expect(await json(await server.send('PUT', path, { spec: { runtime: 'node' }, code: digest }))).toMatchObject({
      code: 'CODE_NOT_FOUND',
    });
    const absent = await server.send('PUT', '/v1/namespaces/absent/functions/x', { spec: { image: 'a:1' } });
    expect(await json(absent)).toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
    expect((await server.send('GET', path)).status).toBe(404);
  });

  test('show their instances', async () => {
    const instance = {
      id: 'web-1',
      namespace: 'openfaas-fn',
      function: 'shown',
      version: 1,
      state: 'busy',
      inFlight: 2,
      engine: 'memory',
      startedAt: new Date().toISOString(),
    } as const;
    await server.send('PUT', `${HOME}/functions/shown`, { spec: { image: 'a:1' } });
    server.running.push(instance);
    const shown = await json(await server.send('GET', `${HOME}/functions/shown/instances`));
    server.running.pop();
    expect(z.array(instanceResourceSchema).parse(shown)).toEqual([instance]);
    expect((await server.send('GET', `${HOME}/functions/absent/instances`)).status).toBe(404);
  });

  test('show their cold starts, of which one that was never called has none', async () => {
    await server.send('PUT', `${HOME}/functions/uncalled`, { spec: { image: 'a:1' } });
    expect(await json(await server.send('GET', `${HOME}/functions/uncalled/cold-starts`))).toEqual([]);
    expect((await server.send('GET', `${HOME}/functions/absent/cold-starts`)).status).toBe(404);
  });
});

describe('code', () => {
  test('tar, gzip’ed tar of the same files give the same digest, and a deploy may refer to it', async () => {
    const archive = await tarOf({ 'index.ts': 'export default () => 1;\n', 'lib/a.txt': 'a' });
    const plain = codeResourceSchema.parse(await json(await upload(archive)));
    expect(plain).toMatchObject({ files: 2, sizeBytes: 25 });
    const zipped = (await json(await upload(gzipSync(archive), 'application/gzip'))) as CodeResource;
    expect(zipped.digest).toBe(plain.digest);
    const deployed = await server.send('PUT', `${HOME}/functions/coded`, {
      spec: { runtime: 'node' },
      code: plain.digest,
    });
    expect(await json(deployed)).toMatchObject({ change: 'created', code: plain.digest });
  });

  test('a large upload arrives whole', async () => {
    const content = randomBytes(8 * 2 ** 20);
    const response = await upload(await tarOf({ 'data.bin': content }));
    const { digest } = codeResourceSchema.parse(await json(response));
    const stored = await readFile(join(server.directory, 'code', digest.slice('sha256:'.length), 'data.bin'));
    expect(createHash('sha256').update(stored).digest('hex')).toBe(createHash('sha256').update(content).digest('hex'));
  });

  test('what is not an archive, too much, or of another type is refused and leaves nothing', async () => {
    const before = await readdir(join(server.directory, 'code'));
    expect(await json(await upload(Buffer.from('nonsense')))).toMatchObject({ code: 'CODE_INVALID' });
    expect(await json(await upload(await tarOf({ '../out': 'x' })))).toMatchObject({ code: 'CODE_INVALID' });
    expect(await json(await upload(await tarOf({ a: 'x' }), 'text/html'))).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      message:
        'the header Content-Type is "text/html" but must be application/x-tar, application/gzip or application/zip',
    });
    expect(await json(await upload(await tarOf({ a: 'x' }), 'application/x-tar', 'absent'))).toMatchObject({
      code: 'NAMESPACE_NOT_FOUND',
    });
    expect(await readdir(join(server.directory, 'code'))).toEqual(before);
  });

  test('an upload whose client goes away leaves nothing', async () => {
    const folder = join(server.directory, 'code');
    const before = await readdir(folder);
    const abort = new AbortController();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const request = fetch(`${server.url}${HOME}/code`, {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/x-tar' },
      body: new ReadableStream({
        pull(controller) {
          controller.enqueue(new Uint8Array(100_000));
          begin();
          return new Promise(() => {});
        },
      }),
      duplex: 'half',
      signal: abort.signal,
    });
    await begun;
    await expect.poll(() => readdir(folder)).toHaveLength(before.length + 1);
    abort.abort();
    await expect(request).rejects.toThrow('aborted');
    await expect.poll(() => readdir(folder)).toEqual(before);
  });
});

describe('secrets', () => {
  test('T2: are taken as bytes or as JSON, and no route ever shows a value', async () => {
    const bytes = new Uint8Array([0, 255, 10, 13]);
    const set = await server.send('PUT', `${HOME}/secrets/raw`, bytes, { 'content-type': 'application/octet-stream' });
    expect(await json(set)).toEqual({ name: 'raw', updatedAt: expect.any(String) });
    expect(new Uint8Array(await server.secrets.reveal('openfaas-fn', 'raw'))).toEqual(bytes);
    await server.send('PUT', `${HOME}/secrets/text`, { value: 'päss-wörd' });
    expect(Buffer.from(await server.secrets.reveal('openfaas-fn', 'text')).toString()).toBe('päss-wörd');
    await server.send('PUT', `${HOME}/functions/user`, { spec: { image: 'a:1', secrets: ['text'] } });
    for (const route of server.api.routes.filter((one) => one.method === 'GET')) {
      const path = route.path.replace('{namespace}', 'openfaas-fn').replace('{name}', 'user');
      expect(await (await server.send('GET', path)).text(), path).not.toContain('wörd');
    }
    expect(await json(await server.send('DELETE', `${HOME}/secrets/text`))).toMatchObject({ code: 'SECRET_IN_USE' });
    expect((await server.send('DELETE', `${HOME}/secrets/raw`)).status).toBe(204);
    expect(await json(await server.send('DELETE', `${HOME}/secrets/raw`))).toMatchObject({ code: 'SECRET_NOT_FOUND' });
  });

  test('too large a value is refused, and the refusal of a wrong one does not repeat it', async () => {
    const large = 'geheim'.repeat(200);
    expect(await json(await server.send('PUT', `${HOME}/secrets/big`, { value: large }))).toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
    });
    const misplaced = await server.send('PUT', `${HOME}/secrets/big`, { value: 'x', vlaue: 'geheim' });
    expect(await misplaced.text()).not.toContain('geheim');
    const broken = await server.send('PUT', `${HOME}/secrets/big`, '{"value": geheim}', {
      'content-type': 'application/json',
    });
    expect(await broken.text()).not.toContain('eheim');
  });
});

describe('logs', () => {
  test('come as lines of JSON, filtered as asked', async () => {
    await server.send('PUT', `${HOME}/functions/talker`, { spec: { image: 'a:1' } });
    for (const text of ['one', 'two', 'three']) server.logs.append(logLine('talker', text));
    const response = await server.send('GET', `${HOME}/functions/talker/logs?tail=2`);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(response.headers.get('x-call-id')).toMatch(/^[0-9a-f-]{36}$/);
    const lines = (await response.text()).trimEnd().split('\n');
    expect(lines.map((line) => logLineSchema.parse(JSON.parse(line)).text)).toEqual(['two', 'three']);
    expect(await json(await server.send('GET', `${HOME}/functions/talker/logs?tail=-1`))).toMatchObject({
      message: '"tail" is "-1" but must be at least 0',
    });
    expect((await server.send('GET', `${HOME}/functions/nobody/logs`)).status).toBe(404);
  });

  test('follow until the client goes away, and then hold nothing', async () => {
    await server.send('PUT', `${HOME}/functions/live`, { spec: { image: 'a:1' } });
    server.logs.append(logLine('live', 'history'));
    const abort = new AbortController();
    const response = await fetch(`${server.url}${HOME}/functions/live/logs?follow=true`, {
      headers: { authorization: `Bearer ${SECRET}` },
      signal: abort.signal,
    });
    const lines = linesOf(response);
    expect((await lines.next()).value).toMatchObject({ text: 'history' });
    server.logs.append(logLine('live', 'now'));
    expect((await lines.next()).value).toMatchObject({ text: 'now' });
    abort.abort();
    await expect(lines.next()).rejects.toThrow('aborted');
  });

  test('a follower is ended properly when the API closes', async () => {
    const other = await startApi();
    await other.send('PUT', `${HOME}/functions/live`, { spec: { image: 'a:1' } });
    const response = await other.send('GET', `${HOME}/functions/live/logs?follow=true`);
    const text = response.text();
    other.logs.append(logLine('live', 'last words'));
    await expect.poll(() => other.api[Symbol.asyncDispose]()).toBeUndefined();
    expect(await text).toMatch(/^$|last words/);
    await other.stop();
  });
});

async function* linesOf(response: Response): AsyncGenerator<LogLine, void, undefined> {
  let rest = '';
  for await (const chunk of response.body ?? []) {
    rest += Buffer.from(chunk).toString();
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield logLineSchema.parse(JSON.parse(line));
  }
}

function logLine(name: string, text: string): LogLine {
  const at = new Date().toISOString();
  return { at, namespace: 'openfaas-fn', function: name, version: 1, instance: 'i', source: 'stdout', text };
}
