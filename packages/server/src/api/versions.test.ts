import {
  aliasResourceSchema,
  deployResourceSchema,
  functionResourceSchema,
  versionDiffSchema,
  versionResourceSchema,
} from '@ebb/contract';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi } from '../../../../testing/harness/api.ts';

const HOME = '/v1/namespaces/openfaas-fn';
const WEB = `${HOME}/functions/web`;

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
  for (const n of ['1', '2', '3']) await deploy('web', { image: 'a:1', env: { N: n } });
});
afterAll(() => server.stop());

const json = async (response: Promise<Response>): Promise<unknown> => (await response).json();

async function deploy(name: string, spec: unknown, query = '', code?: string) {
  const body = { spec, ...(code === undefined ? {} : { code }) };
  return deployResourceSchema.parse(await json(server.send('PUT', `${HOME}/functions/${name}${query}`, body)));
}

async function upload(files: Readonly<Record<string, string>>): Promise<string> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
  archive.finalize();
  const bytes = new Uint8Array(Buffer.concat(await Array.fromAsync(archive as AsyncIterable<Buffer>)));
  const stored = await json(server.send('POST', `${HOME}/code`, bytes, { 'content-type': 'application/x-tar' }));
  return (stored as { digest: string }).digest;
}

describe('versions', () => {
  test('are shown with what is said of them and the aliases that lead to them', async () => {
    const body = { description: 'release 2', alias: 'stable' };
    const published = versionResourceSchema.parse(await json(server.send('POST', `${WEB}/versions/2/publish`, body)));
    expect(published).toMatchObject({
      version: 2,
      description: 'release 2',
      publishedAt: expect.any(String) as string,
      live: false,
      aliases: [{ name: 'stable', weight: 100, also: [] }],
    });
    expect(await json(server.send('GET', `${WEB}/versions/2`))).toEqual(published);
    const list = versionResourceSchema.array().parse(await json(server.send('GET', `${WEB}/versions`)));
    expect(list.map(({ version, live, aliases }) => [version, live, aliases.map(({ name }) => name)])).toEqual([
      [3, true, ['live']],
      [2, false, ['stable']],
      [1, false, []],
    ]);
    expect(list[1]).toEqual(published);
  });

  test('are compared field by field, by default with the live one', async () => {
    const diff = versionDiffSchema.parse(await json(server.send('GET', `${WEB}/versions/1/diff`)));
    expect(diff).toEqual({ from: 1, to: 3, fields: [{ field: 'env.N', before: '1', after: '3' }] });
    expect(await json(server.send('GET', `${WEB}/versions/1/diff?to=2`))).toMatchObject({ to: 2 });
  });

  test('that run code are compared file by file', async () => {
    const first = await upload({ 'index.js': '1', 'lib/gone.js': 'x', same: 's' });
    const second = await upload({ 'index.js': '2', 'lib/new.js': 'x', same: 's' });
    await deploy('coded', { runtime: 'node' }, '', first);
    await deploy('coded', { runtime: 'node' }, '', second);
    const diff = await json(server.send('GET', `${HOME}/functions/coded/versions/1/diff?to=2`));
    expect(diff).toEqual({
      from: 1,
      to: 2,
      fields: [],
      files: { changed: ['index.js'], added: ['lib/new.js'], removed: ['lib/gone.js'], omitted: 0 },
    });
  });

  test('are stored without getting calls where the deploy says so', async () => {
    const stored = await deploy('quiet', { image: 'a:1' });
    const second = await deploy('quiet', { image: 'a:2' }, '?serve=false');
    expect([stored.deployed, second.change, second.deployed, second.version]).toEqual([1, 'updated', 2, 1]);
    const again = await deploy('quiet', { image: 'a:2' }, '?serve=false');
    expect([again.change, again.deployed]).toEqual(['unchanged', 2]);
    const live = await deploy('quiet', { image: 'a:2' });
    expect([live.change, live.deployed, live.version]).toEqual(['updated', 2, 2]);
  });

  test('are deleted unless something needs them', async () => {
    for (const n of ['1', '2', '3']) await deploy('old', { image: 'a:1', env: { N: n } });
    const path = `${HOME}/functions/old/versions`;
    expect((await server.send('DELETE', `${path}/1`)).status).toBe(204);
    expect(await json(server.send('DELETE', `${path}/1`))).toMatchObject({ code: 'VERSION_NOT_FOUND' });
    expect(await json(server.send('DELETE', `${path}/2`))).toMatchObject({ code: 'VERSION_IN_USE' });
    expect(await json(server.send('DELETE', `${path}/3`))).toMatchObject({ code: 'VERSION_IN_USE' });
  });

  test.each([
    ['GET', '/versions/0', 'INVALID_REQUEST', '"version" is "0" but must be at least 1'],
    ['GET', '/versions/x', 'INVALID_REQUEST', '"version"'],
    ['GET', '/versions/9', 'VERSION_NOT_FOUND', 'function "web" has no version 9'],
    ['GET', '/versions/1/diff?to=x', 'INVALID_REQUEST', '"to"'],
    ['GET', '/versions/1/diff?to=9', 'VERSION_NOT_FOUND', 'function "web" has no version 9'],
    ['POST', '/rollback?to=9', 'VERSION_NOT_FOUND', 'function "web" has no version 9'],
    ['POST', '/rollback?to=3', 'NOTHING_TO_ROLL_BACK', 'every call of "web" goes to version 3 already'],
    ['GET', '/aliases/none', 'ALIAS_NOT_FOUND', 'function "web" has no alias "none"'],
    ['DELETE', '/aliases/none', 'ALIAS_NOT_FOUND', 'function "web" has no alias "none"'],
    ['DELETE', '/aliases/live', 'ALIAS_REQUIRED', 'it cannot be removed'],
  ])('%s %s is %s', async (method, path, code, message) => {
    expect(await json(server.send(method, `${WEB}${path}`))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });
});

test('a deploy says which matches and copies of the version before it ended, and versions how calls come to them', async () => {
  for (const n of ['1', '2']) await deploy('tried', { image: 'a:1', env: { N: n } });
  const match = [{ header: 'x-tester', version: 1 }];
  await server.send('PUT', `${HOME}/functions/tried/aliases/live`, {
    versions: { 2: 100 },
    match,
    shadow: { version: 1 },
  });
  const shown = await json(server.send('GET', `${HOME}/functions/tried/versions/1`));
  expect(shown).toMatchObject({ aliases: [{ name: 'live', weight: 0, also: ['match', 'shadow'] }] });
  const third = await deploy('tried', { image: 'a:1', env: { N: '3' } });
  expect(third.ended).toEqual({ match, shadow: { version: 1, percent: 100 } });
  expect((await deploy('tried', { image: 'a:1', env: { N: '4' } })).ended).toBeUndefined();
});

test.each([
  ['POST', '/rollback', { to: 99 }, 'the request has a body, but this route takes none; put "to" into the query'],
  ['POST', '/rollback', 'garbage', 'the request has a body'],
  ['POST', '/rollout/abort', {}, 'the request has a body, but this route takes none'],
  ['POST', '/versions/1/publish', { version: 1 }, 'the body has an unknown field "version"'],
])('%s %s with the body %j, which nobody would read, does nothing', async (method, path, body, message) => {
  const before = await json(server.send('GET', WEB));
  const answer = await json(server.send(method, `${WEB}${path}`, body));
  expect(answer).toMatchObject({ message: expect.stringContaining(message) as string });
  expect(await json(server.send('GET', WEB))).toEqual(before);
});

describe('aliases', () => {
  const BETA = `${WEB}/aliases/beta`;

  test('are made, shown with the function, replaced as a whole and removed', async () => {
    const spec = { versions: { 1: 90, 3: 10 }, sticky: { by: 'cookie' }, match: [{ header: 'x-tester', version: 2 }] };
    const made = aliasResourceSchema.parse(await json(server.send('PUT', BETA, spec)));
    expect(made).toMatchObject({ name: 'beta', versions: { 1: 90, 3: 10 }, sticky: { by: 'cookie', maxAge: '1d' } });
    expect(await json(server.send('GET', BETA))).toEqual(made);
    const shown = functionResourceSchema.parse(await json(server.send('GET', WEB)));
    expect(shown).toMatchObject({ version: 3, before: 2 });
    expect(shown.aliases.map(({ name }) => name)).toEqual(['live', 'beta', 'stable']);
    expect(await json(server.send('GET', `${WEB}/aliases`))).toEqual(shown.aliases);
    const replaced = await json(server.send('PUT', BETA, { versions: { 1: 100 } }));
    expect(replaced).toEqual({
      name: 'beta',
      versions: { 1: 100 },
      match: [],
      updatedAt: expect.any(String) as string,
    });
    expect((await server.send('DELETE', BETA)).status).toBe(204);
    expect((await server.send('GET', BETA)).status).toBe(404);
  });

  test.each([
    ['beta', { versions: { 1: 60, 3: 60 } }, 'WEIGHTS_INVALID', 'the weights of "beta" add up to 120, not to 100'],
    ['beta', { versions: { 9: 100 } }, 'VERSION_NOT_FOUND', 'function "web" has no version 9'],
    ['beta', { versions: { x: 100 } }, 'INVALID_REQUEST', 'versions'],
    ['beta', { versions: { 1: 100 }, weight: 1 }, 'UNKNOWN_FIELD', 'weight'],
    ['7', { versions: { 1: 100 } }, 'ALIAS_NAME_INVALID', '"7" cannot name an alias'],
  ])('"%s" with %j is refused with %s', async (name, spec, code, message) => {
    expect(await json(server.send('PUT', `${WEB}/aliases/${name}`, spec))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });
});

test('a rollback answers with the function as it serves now', async () => {
  const back = functionResourceSchema.parse(await json(server.send('POST', `${WEB}/rollback`)));
  expect([back.version, back.before]).toEqual([2, 3]);
  const forward = functionResourceSchema.parse(await json(server.send('POST', `${WEB}/rollback`)));
  expect([forward.version, forward.before]).toEqual([3, 2]);
  await deploy('single', { image: 'a:1' });
  expect(await json(server.send('POST', `${HOME}/functions/single/rollback`))).toMatchObject({
    code: 'NOTHING_TO_ROLL_BACK',
  });
});
