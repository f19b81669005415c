import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { extract, pack } from 'tar-stream';
import nacl from 'tweetnacl';
import { expect, test } from 'vitest';
import { type BuildRequestOptions, packBuild, signBuild } from '../../../../../testing/harness/build-request.ts';
import { systemClock } from '../../core/clock.ts';
import type { BuildNews, ImageBuild, ImageBuilder, RegistryLogin } from '../../core/ports.ts';
import { readSignature } from './check-signature.ts';
import { type BuildReport, createRemoteBuilder, type RemoteBuilderOptions } from './create-remote-builder.ts';

const SECRET = 'payload secret';
const never = new AbortController().signal;

interface Built extends Omit<ImageBuild, 'context'> {
  readonly files: Readonly<Record<string, string>>;
}

async function filesOf(tar: ImageBuild['context']): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const entry of tar.pipe(extract())) {
    const { name, type, linkname, uid } = entry.header;
    expect(uid).toBe(0);
    files[name] = type === 'file' ? (await buffer(entry)).toString() : `${type} ${linkname ?? ''}`.trim();
    entry.resume();
  }
  return files;
}

async function start(more: Partial<RemoteBuilderOptions> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'ebb-builder-'));
  const payloadSecretPath = join(directory, 'secret');
  writeFileSync(payloadSecretPath, `  ${SECRET}\n`);
  const built: Built[] = [];
  const pushed: (readonly [image: string, login: RegistryLogin | undefined])[] = [];
  const fake: ImageBuilder = {
    async *build({ context, ...build }, signal): AsyncGenerator<BuildNews> {
      built.push({ ...build, files: await filesOf(context) });
      yield { kind: 'line', text: 'RUN make' };
      signal.throwIfAborted();
      if (build.image === 'broken') yield { kind: 'failed', message: 'exit code: 3' };
      else yield { kind: 'done' };
    },
    async *push(image, login): AsyncGenerator<BuildNews> {
      pushed.push([image, login]);
      yield { kind: 'line', text: 'Pushed' };
      yield { kind: 'done' };
    },
  };
  const builder = await createRemoteBuilder({
    builder: fake,
    keys: nacl.box.keyPair(),
    payloadSecretPath,
    directory: join(directory, 'builds'),
    maxArchiveBytes: 100_000,
    timeoutMs: 60_000,
    registriesPath: undefined,
    clock: systemClock,
    ...more,
  });
  const receive = (body: Buffer, secret = SECRET) =>
    builder.receive(inPieces(body), readSignature(signBuild(body, secret)['x-build-signature']), never);
  return {
    builder,
    directory,
    payloadSecretPath,
    built,
    pushed,
    receive,
    left: () => readdirSync(join(directory, 'builds')),
    async run(request: BuildRequestOptions): Promise<BuildReport[]> {
      await using received = await receive(await packBuild(request));
      return Array.fromAsync(received.run(never));
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

async function* inPieces(body: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += 1_000) yield body.subarray(at, at + 1_000);
}

const CONTEXT = { Dockerfile: 'FROM scratch', 'function/handler.js': 'x' };

test('what is signed is built from its context and pushed, and every line is told', async () => {
  using bench = await start();
  for (const prefix of ['', './']) {
    const config = { image: 'r.example/fn:1', buildArgs: { A: 'b' }, platforms: ['linux/amd64'] };
    expect(await bench.run({ config, context: CONTEXT, prefix })).toEqual([
      { log: ['RUN make'], image: 'r.example/fn:1', status: 'in_progress' },
      { log: ['Pushed'], image: 'r.example/fn:1', status: 'in_progress' },
      { log: [], image: 'r.example/fn:1', status: 'success', duration: expect.any(Number) },
    ]);
    expect(bench.built.at(-1)).toEqual({
      image: 'r.example/fn:1',
      buildArgs: { A: 'b' },
      platform: 'linux/amd64',
      secrets: {},
      files: CONTEXT,
    });
  }
  expect(bench.pushed).toHaveLength(2);
  expect(bench.left()).toEqual([]);
});

test('a build that fails says why and is not pushed, and one that is not to be pushed is not', async () => {
  using bench = await start();
  expect((await bench.run({ config: { image: 'broken' }, context: CONTEXT })).at(-1)).toMatchObject({
    status: 'failed',
    error: 'exit code: 3',
  });
  expect((await bench.run({ config: { image: 'a', skipPush: true }, context: CONTEXT })).at(-1)?.status).toBe(
    'success',
  );
  expect(bench.pushed).toEqual([]);
});

test('without the right signature nothing is built, and the secret may change while the server runs', async () => {
  using bench = await start();
  const body = await packBuild({ config: { image: 'a' }, context: CONTEXT });
  await expect(bench.receive(body, 'wrong')).rejects.toMatchObject({ code: 'BUILD_NOT_SIGNED' });
  await expect(bench.builder.receive(inPieces(body), undefined, never)).rejects.toMatchObject({ status: 401 });
  const other = Buffer.concat([body, Buffer.alloc(512)]);
  const signature = readSignature(signBuild(body, SECRET)['x-build-signature']);
  await expect(bench.builder.receive(inPieces(other), signature, never)).rejects.toMatchObject({ status: 401 });
  writeFileSync(bench.payloadSecretPath, 'new');
  await using received = await bench.receive(body, 'new');
  expect(received).toBeDefined();
  expect(bench.left()).toHaveLength(1);
  expect(bench.built).toEqual([]);
  for (const text of [undefined, '', 'sha256=', 'sha1=00', `sha256=${'g'.repeat(64)}`])
    expect(readSignature(text)).toBeUndefined();
});

test('an archive that is too long, no archive or incomplete is refused and leaves nothing', async () => {
  using bench = await start();
  const long = await packBuild({ config: { image: 'a' }, context: { a: Buffer.alloc(200_000) } });
  await expect(bench.receive(long)).rejects.toMatchObject({ code: 'BUILD_TOO_LARGE' });
  const cases: readonly [body: Buffer, part: string][] = [
    [Buffer.from('no archive at all'.repeat(100)), 'no tar file'],
    [Buffer.alloc(1024), 'has no "com.openfaas.docker.config"'],
    [await packBuild({ config: 'text', context: CONTEXT }), 'is not JSON'],
    [await packBuild({ config: { image: 'a' }, context: {} }), 'nothing in "context/"'],
    [await packBuild({ config: { image: 'a' }, context: { '../../etc/passwd': 'x' } }), 'leads out of the folder'],
    [await packBuild({ config: { image: 'a' }, context: CONTEXT, secrets: 'version: v9' }), '"version"'],
    [(await packBuild({ config: { image: 'a' }, context: CONTEXT })).subarray(0, 1_200), 'no tar file'],
  ];
  for (const [body, part] of cases) {
    const refused = expect(bench.receive(body)).rejects;
    await refused.toMatchObject({ code: 'BUILD_INVALID', message: expect.stringContaining(part) });
  }
  expect(bench.left()).toEqual([]);
  expect(bench.built).toEqual([]);
});

test('links stay inside the context, and nothing but files, folders and links is taken', async () => {
  using bench = await start();
  const withEntry = async (header: Parameters<ReturnType<typeof pack>['entry']>[0]) => {
    const tar = pack();
    tar.entry({ name: 'com.openfaas.docker.config' }, '{"image":"a","skipPush":true}');
    tar.entry({ name: 'context/a' }, 'x');
    tar.entry(header);
    tar.finalize();
    await using received = await bench.receive(await buffer(tar));
    return (await Array.fromAsync(received.run(never))).at(-1);
  };
  await withEntry({ name: 'context/b', type: 'link', linkname: 'context/a' });
  expect(bench.built.at(-1)?.files).toEqual({ a: 'x', b: 'link a' });
  await withEntry({ name: 'context/c', type: 'symlink', linkname: '../../outside' });
  expect(bench.built.at(-1)?.files).toEqual({ a: 'x', c: 'symlink ../../outside' });
  for (const [header, part] of [
    [{ name: 'context/d', type: 'link', linkname: '../etc/passwd' }, 'leads out'],
    [{ name: 'context/d', type: 'link', linkname: 'other/a' }, 'outside its context'],
    [{ name: 'context/d', type: 'character-device' }, 'only files, folders and links'],
  ] as const)
    await expect(withEntry(header)).rejects.toMatchObject({
      code: 'BUILD_INVALID',
      message: expect.stringContaining(part),
    });
});

test('a build that takes too long is stopped, and so is one whose client has gone', async () => {
  const forever: ImageBuilder = {
    async *build({ context }, signal): AsyncGenerator<BuildNews> {
      context.resume();
      yield { kind: 'line', text: 'waiting' };
      signal.throwIfAborted();
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))));
    },
    async *push(): AsyncGenerator<BuildNews> {},
  };
  using bench = await start({ builder: forever, timeoutMs: 50 });
  const request = { config: { image: 'a' }, context: CONTEXT };
  expect((await bench.run(request)).at(-1)).toMatchObject({
    status: 'failed',
    error: expect.stringContaining('builderTimeout'),
  });
  const gone = new AbortController();
  await using received = await bench.receive(await packBuild(request));
  const reports = received.run(gone.signal)[Symbol.asyncIterator]();
  expect((await reports.next()).value).toMatchObject({ log: ['waiting'] });
  gone.abort(new Error('it left'));
  await expect(reports.next()).rejects.toThrow('it left');
});

test('an archive that does not come to its end is given up, and its place is free again', async () => {
  let now = 0;
  using bench = await start({ clock: { now: () => now }, timeoutMs: 1_000 });
  const body = await packBuild({ config: { image: 'a' }, context: CONTEXT });
  async function* slow() {
    for (const byte of body) {
      now += 1;
      yield Uint8Array.of(byte);
    }
  }
  const signature = readSignature(signBuild(body, SECRET)['x-build-signature']);
  await expect(bench.builder.receive(slow(), signature, never)).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT' });
  expect(bench.left()).toEqual([]);
});

test('two builds run at once, eight wait, and the next is asked to come later', async () => {
  let running = 0;
  let most = 0;
  const slow: ImageBuilder = {
    async *build({ context }): AsyncGenerator<BuildNews> {
      context.resume();
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      yield { kind: 'done' };
    },
    async *push(): AsyncGenerator<BuildNews> {
      yield { kind: 'done' };
    },
  };
  using bench = await start({ builder: slow });
  const body = await packBuild({ config: { image: 'a' }, context: CONTEXT });
  const received = await Promise.all(Array.from({ length: 10 }, () => bench.receive(body)));
  await expect(bench.receive(body)).rejects.toMatchObject({ code: 'BUILDS_FULL', retryAfterSeconds: 15 });
  const ended = await Promise.all(received.map(async (one) => (await Array.fromAsync(one.run(never))).at(-1)?.status));
  expect(ended).toEqual(Array(10).fill('success'));
  expect(most).toBe(2);
  for (const one of received) await one[Symbol.asyncDispose]();
  await using again = await bench.receive(body);
  expect(again).toBeDefined();
});

test('a build whose client goes away while it waits gives its place up at once', async () => {
  const ended = Promise.withResolvers<void>();
  const busy: ImageBuilder = {
    async *build({ context }): AsyncGenerator<BuildNews> {
      context.resume();
      await ended.promise;
      yield { kind: 'done' };
    },
    async *push(): AsyncGenerator<BuildNews> {
      yield { kind: 'done' };
    },
  };
  using bench = await start({ builder: busy });
  const body = await packBuild({ config: { image: 'a' }, context: CONTEXT });
  const running = await Promise.all(
    [1, 2].map(async () => {
      const received = await bench.receive(body);
      return { received, reports: Array.fromAsync(received.run(never)) };
    }),
  );
  const gone = new AbortController();
  await using waiting = await bench.receive(body);
  const reports = waiting.run(gone.signal)[Symbol.asyncIterator]().next();
  gone.abort(new Error('it left'));
  await expect(reports).rejects.toThrow('it left');
  ended.resolve();
  for (const { received, reports: all } of running) {
    expect((await all).at(-1)?.status).toBe('success');
    await received[Symbol.asyncDispose]();
  }
});

test('a push has the login of its registry from the file, and no other', async () => {
  using bench = await start();
  const path = join(bench.directory, 'config.json');
  const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
  writeFileSync(
    path,
    JSON.stringify({
      auths: { 'r.example:5000': auth('ada:pass:word'), 'https://index.docker.io/v1/': auth('hub:h') },
    }),
  );
  using other = await start({ registriesPath: path });
  for (const image of ['r.example:5000/a', 'ada/a', 'else.example/a'])
    await other.run({ config: { image }, context: CONTEXT });
  expect(other.pushed).toEqual([
    ['r.example:5000/a', { username: 'ada', password: 'pass:word' }],
    ['ada/a', { username: 'hub', password: 'h' }],
    ['else.example/a', undefined],
  ]);
});

test('a server whose payload secret is missing or empty does not start', async () => {
  using bench = await start();
  writeFileSync(bench.payloadSecretPath, ' \n');
  for (const payloadSecretPath of [bench.payloadSecretPath, join(bench.directory, 'absent')])
    await expect(start({ payloadSecretPath })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
