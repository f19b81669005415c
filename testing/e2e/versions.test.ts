import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../harness/server.ts';

const REF = { namespace: 'openfaas-fn', name: 'hello' };

describe('versions and aliases on the command line', () => {
  let server: TestServer;
  let directory: string;

  const write = (version: string) =>
    writeFile(path.join(directory, 'index.js'), `export default { fetch: () => new Response('${version}') };\n`);
  const deploy = async (version: string, ...more: string[]) => {
    await write(version);
    return server.ebbOk(['deploy', directory, '--name', 'hello', ...more]);
  };
  const answer = async (): Promise<string> => (await fetch(server.functionUrl('hello'))).text();

  beforeAll(async () => {
    server = await startTestServer({ engine: 'process', env: { EBB_VERSIONS_KEPT: '3' } });
    directory = await mkdtemp(path.join(tmpdir(), 'ebb-versions-'));
    for (const version of ['one', 'two', 'three']) await deploy(version);
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  test('a deploy with --no-serve is stored and says how to let it serve', async () => {
    const shown = await deploy('four', '--no-serve');
    expect(shown).toMatch(
      /hello has version 4 stored \(.*\); version 3 still gets the calls\n {2}ebb alias set hello live 4/,
    );
    expect(await answer()).toBe('three');
  });

  test('versions are listed, published, described and compared', async () => {
    expect(await server.ebbOk(['version', 'publish', 'hello', '2', '-d', 'the second', '--alias', 'stable'])).toBe(
      'published version 2 of hello as stable\n',
    );
    const list = await server.ebbOk(['versions', 'hello']);
    expect(list).toMatch(
      /^VERSION {2}GETS CALLS OF .* DESCRIPTION\n {6}4 .*\n {6}3 {2}live .*\n {6}2 {2}stable .* the second\n/,
    );
    expect(await server.ebbOk(['version', 'describe', 'hello', 'v2'])).toContain('Description:   the second');
    expect(await server.ebbOk(['version', 'diff', 'hello', '2', '3'])).toBe('changed  index.js\n');
    const { stdout, stderr } = await server.ebb(['version', 'diff', 'hello', '3']);
    expect([stdout.toString(), stderr]).toEqual(['', 'versions 3 and 3 of hello are the same\n']);
  });

  test('an alias is set part by part, shown and removed', async () => {
    expect(await server.ebbOk(['alias', 'set', 'hello', 'beta', '3=75', '4=25', '--sticky', 'cookie'])).toBe(
      'hello:beta sends calls to several versions: 75 % to 3, 25 % to 4, keeps clients by cookie\n',
    );
    await server.ebbOk(['alias', 'set', 'hello', 'beta', '4', '--match', 'header:X-Tester=1:2']);
    const shown = await server.ebbOk(['alias', 'show', 'hello', 'beta']);
    expect(shown).toMatch(/Calls go to: version 4\nSticky by: {3}cookie, for 1d\nMatches: {5}header X-Tester=1 to 2\n/);
    expect(await server.ebbOk(['alias', 'list', 'hello'])).toMatch(/^ALIAS .*\nlive .*\nbeta .*\nstable .*\n$/);
    await server.ebbOk(['alias', 'remove', 'hello', 'beta']);
    expect(JSON.parse(await server.ebbOk(['alias', 'list', 'hello', '--json']))).toHaveLength(2);
  });

  test('a rollback is in force for the next call, and a second one leads forward again', async () => {
    expect(await answer()).toBe('three');
    const forward = 'the same again goes to version';
    expect(await server.ebbOk(['rollback', 'hello'])).toBe(
      `hello: from version 3 back to version 2, which gets every call now; ${forward} 3\n`,
    );
    expect(await answer()).toBe('two');
    expect(await server.ebbOk(['rollback', 'hello'])).toBe(
      `hello: from version 2 back to version 3, which gets every call now; ${forward} 2\n`,
    );
    expect(await answer()).toBe('three');
    expect(await server.ebbOk(['rollback', 'hello', '--to', '1'])).toContain('back to version 1, which');
    expect(await answer()).toBe('one');
  });

  test('a rollback reaches every call at once while many run, and none fails', async () => {
    const answers: { readonly at: number; readonly status: number; readonly text: string }[] = [];
    let isOver = false;
    const caller = async () => {
      while (!isOver) {
        const at = performance.now();
        const response = await fetch(server.functionUrl('hello'));
        answers.push({ at, status: response.status, text: await response.text() });
      }
    };
    const callers = [caller(), caller(), caller(), caller()];
    await expect.poll(() => answers.length).toBeGreaterThan(20);
    const asked = performance.now();
    await server.client.functions.rollback(REF, { to: 2 });
    const done = performance.now();
    await expect.poll(() => answers.filter(({ at }) => at > done).length).toBeGreaterThan(20);
    isOver = true;
    await Promise.all(callers);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    // Whoever calls after the rollback was answered gets the version gone back to.
    expect(new Set(answers.filter(({ at }) => at > done).map(({ text }) => text))).toEqual(new Set(['two']));
    console.info(`rollback to full effect: ${Math.round(done - asked)} ms over ${answers.length} calls`);
  });

  test('code that was deployed before serves again under its old number', async () => {
    expect(await deploy('three')).toContain('(version 3,');
    expect(await answer()).toBe('three');
  });

  test.each([
    [
      ['alias', 'set', 'hello', 'live', '1=50', '2=60'],
      'the weights of "live" add up to 110, not to 100 (WEIGHTS_INVALID',
      2,
    ],
    [['alias', 'set', 'hello', 'live', '99'], 'function "hello" has no version 99', 3],
    [['alias', 'set', 'hello', 'v7', '1'], '"v7" cannot name an alias', 2],
    [['alias', 'remove', 'hello', 'live'], 'it cannot be removed (ALIAS_REQUIRED', 1],
    [['alias', 'show', 'hello', 'nothing'], 'has no alias "nothing"', 3],
    [['version', 'delete', 'hello', '3'], 'the alias "live" names it; point that elsewhere first (VERSION_IN_USE', 1],
    [['version', 'delete', 'hello', '2'], 'names it; point that elsewhere first (VERSION_IN_USE', 1],
    [['version', 'describe', 'hello', 'x'], 'must be the number of a version, such as 7 (USAGE)', 2],
    [['rollback', 'hello', '--to', '3'], 'every call of "hello" goes to version 3 already (NOTHING_TO_ROLL_BACK', 1],
    [['version', 'publish', 'hello'], 'say what the version is with --description', 2],
  ])('%j is refused in one sentence', async (args, words, exitCode) => {
    const { code, stderr } = await server.ebb(args);
    expect(stderr).toContain(words);
    expect([code, stderr.trim().split('\n')]).toEqual([exitCode, [stderr.trim()]]);
  });

  test('old versions are removed by number, those that are needed stay, also over a restart', async () => {
    for (const version of ['five', 'six', 'seven', 'eight']) await deploy(version);
    const numbers = async () => (await server.client.functions.versions(REF)).map(({ version }) => version);
    // 8 is live, 7 is what a rollback goes back to, 6, 5 and 4 are the newest others, 2 has the alias "stable".
    await expect.poll(numbers).toEqual([8, 7, 6, 5, 4, 2]);
    await server.stop();
    await server.start();
    expect(await numbers()).toEqual([8, 7, 6, 5, 4, 2]);
    await server.ebbOk(['rollback', 'hello']);
    expect(await answer()).toBe('seven');
  });
});
