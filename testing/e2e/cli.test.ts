import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from '../harness/run-program.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

const EBB = path.join(ROOT, 'packages/cli/bin/ebb.mjs');

describe('ebb', () => {
  let server: TestServer;
  let directory: string;

  beforeAll(async () => {
    server = await startTestServer({ engine: 'process' });
    directory = await mkdtemp(path.join(tmpdir(), 'ebb-cli-'));
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  test('goes from nothing to a served function with `new` and `deploy`', async () => {
    await server.ebbOk(['new', 'fresh'], { cwd: directory });
    await server.ebbOk(['deploy'], { cwd: path.join(directory, 'fresh') });
    const { code, stdout } = await server.ebb(['invoke', 'fresh']);
    expect(code).toBe(0);
    expect(stdout.length).toBeGreaterThan(0);
    expect(await server.ebbOk(['describe', 'fresh'])).toContain('fresh');
  });

  test('prints JSON and nothing else with --json, also for errors', async () => {
    const list = JSON.parse(await server.ebbOk(['list', '--json'])) as unknown[];
    expect(list).toEqual([expect.objectContaining({ name: 'fresh' })]);
    const missing = await server.ebb(['describe', 'nobody', '--json']);
    expect(missing.code).not.toBe(0);
    const printed = `${missing.stdout.toString()}${missing.stderr}`;
    expect(JSON.stringify(JSON.parse(printed))).toContain('FUNCTION_NOT_FOUND');
  });

  test('shows the lines a function wrote', async () => {
    const code = `export default { fetch() { console.log('seen by logs'); return new Response('ok'); } };\n`;
    await writeFile(path.join(directory, 'index.js'), code);
    await server.ebbOk(['deploy', directory, '--name', 'talks']);
    await server.ebbOk(['invoke', 'talks']);
    await expect.poll(() => server.ebbOk(['logs', 'talks'])).toContain('seen by logs');
  });

  test('T2: sets a secret that the function reads and nothing shows', async () => {
    await server.ebbOk(['secret', 'set', 'key'], { input: 'sesame-4711' });
    const code = `export default { async fetch(_request, context) { return new Response(await context.secret('key')); } };\n`;
    await writeFile(path.join(directory, 'index.js'), code);
    await server.ebbOk(['deploy', directory, '--name', 'keeps', '--secret', 'key']);
    const { stdout } = await server.ebb(['invoke', 'keeps']);
    expect(stdout.toString().trim()).toBe('sesame-4711');
    const shown = await Promise.all(
      [
        ['secret', 'list', '--json'],
        ['describe', 'keeps', '--json'],
        ['logs', 'keeps'],
      ].map((args) => server.ebbOk(args)),
    );
    expect(shown.join('')).not.toContain('sesame');
    expect(server.output()).not.toContain('sesame');
    const inUse = await server.ebb(['secret', 'remove', 'key']);
    expect(inUse.stderr).toContain('SECRET_IN_USE');
  });

  test('keeps namespaces apart', async () => {
    await server.ebbOk(['namespace', 'create', 'team']);
    await server.ebbOk(['deploy', directory, '--name', 'shared', '--namespace', 'team', '--env', 'A=1']);
    expect(await server.ebbOk(['list', '--namespace', 'team'])).toContain('shared');
    expect(await server.ebbOk(['list'])).not.toContain('shared');
    expect((await fetch(`${server.url}/function/shared`)).status).toBe(404);
    const kept = await server.ebb(['namespace', 'remove', 'team']);
    expect(kept.stderr).toContain('NAMESPACE_NOT_EMPTY');
    await server.ebbOk(['remove', 'shared.team']);
    await server.ebbOk(['namespace', 'remove', 'team']);
  });

  test('redeploys on change with --watch', async () => {
    const handler = path.join(directory, 'index.js');
    await writeFile(handler, `export default { fetch() { return new Response('before'); } };\n`);
    const env = { ...process.env, EBB_DATA_DIR: path.join(server.dataDir, 'data'), NO_COLOR: '1' };
    const watcher = spawn(process.execPath, [EBB, 'deploy', directory, '--name', 'watched', '--watch'], {
      env,
      stdio: 'ignore',
    });
    const answer = async (): Promise<string> => (await fetch(server.functionUrl('watched'))).text();
    try {
      await expect.poll(answer, { timeout: 20_000 }).toBe('before');
      await writeFile(handler, `export default { fetch() { return new Response('after'); } };\n`);
      await expect.poll(answer, { timeout: 20_000 }).toBe('after');
    } finally {
      const ended = new Promise((resolve) => watcher.once('exit', resolve));
      watcher.kill('SIGINT');
      await ended;
    }
  });

  test.each([
    ['a field that does not exist', 'functions:\n  x:\n    runtime: node\n    memroy: 1Gi\n', '"memroy"'],
    ['a value out of range', 'functions:\n  x:\n    runtime: node\n    memory: 1Ki\n', 'such as "256Mi"'],
    ['both runtime and image', 'functions:\n  x:\n    runtime: node\n    image: y\n', 'exactly one'],
    [
      'a variable that is not set',
      'functions:\n  x:\n    runtime: node\n    env:\n      A: ${NOT_SET_4711}\n',
      'NOT_SET_4711',
    ],
    ['what is no YAML', 'functions: [', 'YAML'],
  ])('refuses %s in ebb.yaml with file, line and rule', async (_title, manifest, words) => {
    const bad = await mkdtemp(path.join(directory, 'bad-'));
    await writeFile(path.join(bad, 'ebb.yaml'), manifest);
    const { code, stderr } = await server.ebb(['deploy'], { cwd: bad });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/ebb\.yaml:\d+: /);
    expect(stderr).toContain(words);
  });

  test('needs the secret from elsewhere, and says how to log in', async () => {
    const env = { PATH: process.env['PATH'], HOME: directory, EBB_URL: server.url, EBB_TOKEN: 'wrong-secret' };
    const { code, stderr } = await runProgram(process.execPath, [EBB, 'list'], { env, cwd: directory });
    expect(code).not.toBe(0);
    expect(stderr).toContain('UNAUTHENTICATED');
    expect(stderr).toContain('ebb login');
  });

  test('without a server says how to start one', async () => {
    const env = { PATH: process.env['PATH'], HOME: directory };
    const { code, stderr } = await runProgram(process.execPath, [EBB, 'list'], { env, cwd: directory });
    expect(code).not.toBe(0);
    expect(stderr).toContain('ebb up');
  });

  test('an unknown command or flag is refused with the usage exit code, which differs from a failure', async () => {
    const usage = await server.ebb(['frobnicate']);
    const failure = await server.ebb(['describe', 'nobody']);
    expect(usage.code).not.toBe(0);
    expect(failure.code).not.toBe(0);
    expect(usage.code).not.toBe(failure.code);
  });

  test('`doctor` says what the host offers', async () => {
    const { stdout } = await server.ebb(['doctor', '--json']);
    const text = stdout.toString();
    expect(JSON.parse(text)).toBeTruthy();
    expect(text).toMatch(/"level":\s*"(?:ok|degraded|unsafe|missing)"/);
  });

  test('runs as `npx ebb` in a clone, and tells its version', async () => {
    const { version } = JSON.parse(await readFile(path.join(ROOT, 'packages/cli/package.json'), 'utf8')) as {
      version: string;
    };
    const { stdout } = await runProgram('npx', ['ebb', '--version'], { cwd: ROOT, env: process.env });
    expect(stdout.toString()).toContain(version);
  });
});
