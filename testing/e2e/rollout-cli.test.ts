import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../harness/server.ts';

describe('a rollout on the command line', () => {
  let server: TestServer;
  let cwd: string;

  beforeAll(async () => {
    server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' } });
    cwd = await mkdtemp(path.join(tmpdir(), 'ebb-rollout-cli-'));
    await mkdir(path.join(cwd, 'code'));
    const code = 'export default { fetch() { return new Response(process.env.WORD); } };\n';
    await writeFile(path.join(cwd, 'code/index.js'), code);
    await apply('one');
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    if (cwd !== undefined) await rm(cwd, { recursive: true, force: true });
  });

  const apply = async (word: string) => {
    const rollout = '{ strategy: canary, steps: [{ weight: 10, pause: 90m }] }';
    const yaml = `functions:\n  web: { runtime: node, code: ./code, env: { WORD: ${word} }, rollout: ${rollout} }\n`;
    await writeFile(path.join(cwd, 'ebb.yaml'), yaml);
    return server.ebb(['apply'], { cwd });
  };

  test('apply says how the version takes over, describe and list that it does', async () => {
    expect((await apply('two')).stderr).toContain('web takes over by canary: version 1 to 2 in ');
    expect(await server.ebbOk(['describe', 'web'])).toMatch(
      /^Rollout: +running, version 1 to 2, step 1 of 2 at \d+ %: .*\nRollback: +to version 1, which ends the rollout$/m,
    );
    expect(await server.ebbOk(['list'])).toMatch(/^web +node +1 +1 to 2, \d+ % +ready/m);
    expect(JSON.parse(await server.ebbOk(['rollout', 'status', 'web', '--json']))).toMatchObject({
      steps: [{ weight: 10, pause: '90m' }, { weight: 100 }],
    });
  });

  test('no version is deleted meanwhile, since it must end first', async () => {
    const { code, stderr } = await server.ebb(['version', 'delete', 'web', '2']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('a rollout of "web" has to end first') as string]);
  });

  test('a rollback ends it and says so; following one that ended so exits with 1', async () => {
    const back = await server.ebbOk(['rollback', 'web']);
    expect(back).toContain(
      'web: the rollout from version 1 to 2 has ended; back to version 1, which gets every call now',
    );
    const { code, stdout } = await server.ebb(['rollout', 'status', 'web', '--follow', '--json']);
    const last: unknown = JSON.parse(stdout.toString().trim().split('\n').at(-1) ?? '');
    expect([code, last]).toEqual([1, expect.objectContaining({ action: 'abort' })]);
  });

  test('a version that was only stored and proved is deleted at once, its instance with it', async () => {
    await server.ebbOk(['deploy', '--name', 'solo', 'code', '--env', 'WORD=one'], { cwd });
    await server.ebbOk(['deploy', '--name', 'solo', 'code', '--env', 'WORD=two', '--no-serve'], { cwd });
    const both = await server.ebb(['deploy', '--name', 'solo', 'code', '--no-serve', '--rollout', 'canary'], { cwd });
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('leave one out (USAGE)') as string]);
    const said = await Promise.all(['solo@1', 'solo:live', 'solo@2'].map((name) => server.ebbOk(['invoke', name])));
    expect(said).toEqual(['one', 'one', 'two']);
    await server.ebbOk(['version', 'delete', 'solo', '2']);
    expect(JSON.parse(await server.ebbOk(['versions', 'solo', '--json']))).toHaveLength(1);
  });
});
