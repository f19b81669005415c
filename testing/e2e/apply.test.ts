import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../harness/server.ts';

describe('ebb apply, diff and export', () => {
  let server: TestServer;
  let cwd: string;

  beforeAll(async () => {
    server = await startTestServer({ engine: 'process' });
    cwd = await mkdtemp(path.join(tmpdir(), 'ebb-apply-'));
    await mkdir(path.join(cwd, 'code'));
    await write('code/index.js', `export default { fetch() { return new Response(process.env.WORD); } };\n`);
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    if (cwd !== undefined) await rm(cwd, { recursive: true, force: true });
  });

  const write = (name: string, content: string) => writeFile(path.join(cwd, name), content);
  const apply = (...words: string[]) => server.ebbOk(['apply', ...words], { cwd });
  const manifest = (functions: Record<string, string>) =>
    write(
      'ebb.yaml',
      ['namespace: shop', 'functions:']
        .concat(
          Object.entries(functions).map(
            ([name, word]) => `  ${name}: { runtime: node, code: ./code, env: { WORD: ${word} } }`,
          ),
        )
        .join('\n'),
    );
  const words = async (name: string) => (await fetch(`${server.url}/function/${name}.shop`)).text();
  const versionOf = async (name: string) => {
    const shown = await server.ebbOk(['describe', `${name}.shop`, '--json']);
    return (JSON.parse(shown) as { version: number }).version;
  };

  test('a dry run says what would be made and makes nothing, not even the namespace', async () => {
    await manifest({ cart: 'one', till: 'two' });
    const plan = await apply('--dry-run');
    expect(plan).toContain('+ create namespace shop\n+ create cart\n+ create till\n2 to create, 0 to update');
    expect(await server.ebbOk(['namespace', 'list'])).not.toContain('shop');
    const diff = await server.ebb(['diff', '--exit-code'], { cwd });
    expect([diff.code, diff.stdout.toString()]).toEqual([
      1,
      expect.stringContaining('+ create namespace shop\n+ create cart') as string,
    ]);
  });

  test('applying makes it so, and a second time finds nothing to do', async () => {
    await apply();
    expect([await words('cart'), await words('till')]).toEqual(['one', 'two']);
    expect(await apply()).toBe('0 to create, 0 to update, 2 unchanged.\n');
    expect((await server.ebb(['diff', '--exit-code'], { cwd })).code).toBe(0);
    expect([await versionOf('cart'), await versionOf('till')]).toEqual([1, 1]);
  });

  test('what differs is named field by field and only that is deployed', async () => {
    await manifest({ cart: 'three', till: 'two' });
    expect(await apply()).toBe('~ update cart\n    env.WORD  changed\n0 to create, 1 to update, 1 unchanged.\n');
    expect([await words('cart'), await versionOf('cart'), await versionOf('till')]).toEqual(['three', 2, 1]);
    await write('code/extra.js', '// more code\n');
    expect(await apply('--dry-run')).toMatch(/code {2}[0-9a-f]{12} → [0-9a-f]{12}\n/);
    const json = JSON.parse(await apply('--json')) as { applied: boolean; changes: { action: string }[] };
    expect([json.applied, json.changes.map(({ action }) => action)]).toEqual([true, ['update', 'update']]);
  });

  test('functions that the file does not name stay, until it is pruned', async () => {
    await manifest({ cart: 'three' });
    expect(await apply()).toContain('0 to update, 1 unchanged');
    expect(await words('till')).toBe('two');
    expect(await apply('--prune')).toContain('- remove till\n');
    expect((await fetch(`${server.url}/function/till.shop`)).status).toBe(404);
  });

  test('during a rollout the same file changes nothing, another one is refused', async () => {
    const file = (word: string) =>
      write(
        'ebb.yaml',
        `namespace: shop\nfunctions:\n  cart:\n    runtime: node\n    code: ./code\n    env: { WORD: ${word} }\n    rollout: canary\n`,
      );
    await file('four');
    const first = await server.ebb(['apply'], { cwd });
    expect(first.stdout.toString()).toContain('0 to create, 1 to update, 0 unchanged.');
    expect(first.stderr).toContain('cart takes over by canary: version 3 to 4');
    expect(await apply()).toBe('0 to create, 0 to update, 1 unchanged.\n');
    expect(await server.ebbOk(['diff'], { cwd })).toContain('1 unchanged');
    expect(await server.ebbOk(['deploy'], { cwd })).toContain('cart takes over by canary: version 3 to 4');
    await file('three');
    expect((await server.ebb(['apply'], { cwd })).stderr).toContain(
      'a rollout of "cart" from version 3 to 4 is running',
    );
    await server.ebbOk(['rollout', 'abort', 'cart.shop']);
  });

  test('an export is a file that there is nothing to change in', async () => {
    const text = await server.ebbOk(['export', '--namespace', 'shop']);
    expect(text).toBe(
      'namespace: shop\nfunctions:\n  cart:\n    runtime: node\n    env:\n      WORD: three\n    code: ./cart\n',
    );
    await write('ebb.yaml', text.replace('./cart', './code'));
    expect(await apply()).toBe('0 to create, 0 to update, 1 unchanged.\n');
  });

  test('a function that fails is told of, and keeps none of the others back', async () => {
    await mkdir(path.join(cwd, 'broken'));
    await write('broken/index.js', 'throw new Error("no luck");\n');
    const lines = [
      'bad: { runtime: node, code: ./broken }',
      'cart: { runtime: node, code: ./code, env: { WORD: four } }',
    ];
    await write('ebb.yaml', `namespace: shop\nfunctions:\n  ${lines.join('\n  ')}\n`);
    const { code, stderr } = await server.ebb(['apply'], { cwd });
    expect(stderr).toContain('error: bad: version 1 was not deployed');
    expect(stderr).toContain('cart version 4 updated in');
    expect(stderr).toContain('not done: bad; all else is');
    expect([code, await words('cart')]).toEqual([1, 'four']);
  });

  test('without a file says what to do', async () => {
    const { code, stderr } = await server.ebb(['apply'], { cwd: tmpdir() });
    expect([code, stderr]).toEqual([2, expect.stringContaining('name a file with -f') as string]);
  });
});
