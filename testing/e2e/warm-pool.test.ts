import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE, type FunctionSpecInput } from '@ebb/contract';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { listInstances } from '../harness/docker-instances.ts';
import { describeOnEngines, type EngineName } from '../harness/engines.ts';
import { findProcesses } from '../harness/find-processes.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

const TELL = `
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { secretOf } from './lib/secret.ts';
export default {
  async fetch(request: Request): Promise<Response> {
    const at = new URL(request.url).searchParams.get('at');
    return Response.json({
      env: process.env['GREETING'] ?? null,
      spare: process.env['EBB_SPARE'] ?? null,
      secret: secretOf('token'),
      cwd: readdirSync('.').sort(),
      found: at === null ? null : existsSync(at),
    });
  },
};
`;
const SECRET = `
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
export const secretOf = (name: string): string | null => {
  try { return readFileSync(join(process.env['EBB_SECRETS_DIR'] ?? '', name), 'utf8'); } catch { return null; }
};
`;

/** Everything that runs for a server, what is kept ready without code included. */
async function countRunning(engine: EngineName, server: TestServer): Promise<number> {
  if (engine === 'process') return (await findProcesses('EBB_SOCKET=', server.file.installation)).length;
  return (await listInstances(inject('dockerSocket') ?? '', server.file.installation)).length;
}

async function mountsOf(server: TestServer): Promise<readonly string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '').filter((point) => point.includes(server.file.installation));
}

async function until(what: string, isTrue: () => Promise<boolean>, limitMs = 15_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`after ${limitMs} ms still not: ${what}`);
    await sleep(50);
  }
}

describeOnEngines('instances made of spares', (engine) => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'ebb-e2e-pool-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const code = async (name: string, files: Readonly<Record<string, string>>): Promise<string> => {
    for (const [file, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(directory, name, file)), { recursive: true });
      await writeFile(path.join(directory, name, file), text);
    }
    return path.join(directory, name);
  };
  const deploy = async (
    server: TestServer,
    name: string,
    from: string,
    spec: FunctionSpecInput = {},
    probe = true,
  ): Promise<void> => {
    const archive = execFileSync('tar', ['-C', from, '-cf', '-', '.']);
    const { digest } = await server.client.code.upload(DEFAULT_NAMESPACE, archive, 'tar');
    const whole = { runtime: 'node' as const, scale: { idle: '100ms' }, ...spec };
    await server.client.functions.deploy(
      { namespace: DEFAULT_NAMESPACE, name },
      { spec: whole, code: digest },
      { probe },
    );
  };
  const instances = (server: TestServer, name: string) =>
    server.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name });
  const atZero = (server: TestServer, name: string) =>
    until(`${name} is at zero`, async () => (await instances(server, name)).length === 0);

  test('each has the code, environment and secrets of its own function and of no other', async () => {
    await using server = await startTestServer({ engine });
    await server.ebbOk(['secret', 'set', 'token', '--value', 's3cret']);
    const tell = await code('tell', { 'index.ts': TELL, 'lib/secret.ts': SECRET });
    const other = await code('other', { 'index.ts': TELL, 'lib/secret.ts': SECRET, 'only-here.txt': 'x' });
    await deploy(server, 'tell', tell, { env: { GREETING: 'hello' }, secrets: ['token'] });
    await deploy(server, 'other', other);
    for (let round = 0; round < 3; round += 1) {
      const ask = async (name: string) =>
        (await (await fetch(server.functionUrl(name, '/?at=/function/only-here.txt'))).json()) as object;
      const [mine, its] = await Promise.all([ask('tell'), ask('other')]);
      expect(mine).toEqual({ env: 'hello', spare: null, secret: 's3cret', cwd: ['index.ts', 'lib'], found: false });
      expect(its).toEqual({
        env: null,
        spare: null,
        secret: null,
        cwd: ['index.ts', 'lib', 'only-here.txt'],
        found: engine === 'docker',
      });
      await Promise.all([atZero(server, 'tell'), atZero(server, 'other')]);
      await sleep(600);
    }
  });

  test('starts come from the pool, also of limits that are not the usual ones', async () => {
    await using server = await startTestServer({ engine });
    const tell = await code('tell', { 'index.ts': TELL, 'lib/secret.ts': SECRET });
    await deploy(server, 'big', tell, { memory: '512Mi', cpu: '0.5' });
    await atZero(server, 'big');
    await until('a start from the pool', async () => {
      await sleep(500);
      expect((await fetch(server.functionUrl('big'))).status).toBe(200);
      const [instance] = await instances(server, 'big');
      await atZero(server, 'big');
      return instance?.id.startsWith('spare-') ?? false;
    });
  });

  test('S3: 200 first calls at once are all answered, and no more than max is started', async () => {
    await using server = await startTestServer({ engine });
    const tell = await code('tell', { 'index.ts': TELL, 'lib/secret.ts': SECRET });
    await deploy(server, 'burst', tell, { concurrency: 10, scale: { max: 20, idle: '100ms' } });
    await atZero(server, 'burst');
    await sleep(1500);
    let most = 0;
    const done = new AbortController();
    const watching = (async () => {
      while (!done.signal.aborted) {
        most = Math.max(most, (await instances(server, 'burst')).length);
        await sleep(20);
      }
    })();
    const answers = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const response = await fetch(server.functionUrl('burst'));
        await response.arrayBuffer();
        return response.status;
      }),
    );
    done.abort();
    await watching;
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(most).toBeLessThanOrEqual(20);
  });

  test('E1: after kill -9 nothing of an earlier pool stays, and stopping leaves no instance and no mount', async () => {
    await using server = await startTestServer({ engine });
    const tell = await code('tell', { 'index.ts': TELL, 'lib/secret.ts': SECRET });
    await deploy(server, 'kept', tell, { scale: {} });
    await deploy(server, 'gone', tell, { scale: {} });
    await fetch(server.functionUrl('kept'));
    const before = (await instances(server, 'kept')).map(({ id }) => id);
    await server.kill();
    await server.start();
    const response = await fetch(server.functionUrl('kept'));
    expect([response.status, (await instances(server, 'kept')).map(({ id }) => id)]).toEqual([200, before]);
    await server.client.functions.remove({ namespace: DEFAULT_NAMESPACE, name: 'gone' });
    const known = async () => (await instances(server, 'kept')).length;
    await until('what runs is what is known and the pool', async () => {
      return (await countRunning(engine, server)) === (await known()) + 2;
    });
    expect(await server.stop()).toBe(0);
    expect(await countRunning(engine, server)).toBe(0);
    expect(await mountsOf(server)).toEqual([]);
    expect(existsSync(`/dev/shm/ebb-${server.file.installation}`)).toBe(false);
  });
});
