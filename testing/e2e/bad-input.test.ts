import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE, type ErrorBody, type FunctionSpecInput } from '@ebb/contract';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

/** Fills the memory of an instance with JavaScript's own objects, which both engines limit. */
const HOARD = 'const all = []; for (;;) all.push(new Array(1e5).fill({}));';
const SMALL = { memory: '64Mi' };
/** Calls at once to a function that is broken, each of which would have an instance of its own. */
const CALLS = 20;
/** `maxConcurrentStarts` twice, because a start of more than three seconds makes room for another, and one alone. */
const MOST_STARTS = 9;

interface BrokenStart {
  readonly name: string;
  readonly source: string;
  readonly status: number;
  readonly code: string;
  /** Among the last lines. */
  readonly said: RegExp;
  readonly spec?: FunctionSpecInput;
}

const BROKEN: readonly BrokenStart[] = [
  {
    name: 'throws',
    source: 'console.log("begun"); throw new Error("no luck");',
    status: 503,
    code: 'HANDLER_FAILED',
    said: /"index\.mjs" cannot be loaded: no luck/,
  },
  { name: 'exits', source: 'console.log("begun"); process.exit(7);', status: 503, code: 'START_FAILED', said: /begun/ },
  {
    name: 'waits',
    source: 'console.log("begun"); await new Promise(() => {}); export default () => "x";',
    status: 503,
    code: 'NEVER_READY',
    said: /"index\.mjs" never finishes loading: its top-level await does not settle/,
  },
  {
    name: 'lingers',
    source: 'console.log("begun"); setInterval(() => {}, 50); await new Promise(() => {});',
    status: 503,
    code: 'NEVER_READY',
    said: /begun/,
  },
  { name: 'loops', source: 'console.log("begun"); for (;;);', status: 504, code: 'INSTANCE_BLOCKED', said: /begun/ },
  {
    name: 'hoards',
    source: `console.log("begun"); ${HOARD}`,
    status: 502,
    code: 'OUT_OF_MEMORY',
    said: /begun/,
    spec: SMALL,
  },
];

const AT_CALL = `
export default {
  async fetch(request) {
    console.log('called', new URL(request.url).pathname);
    if (request.url.endsWith('/exit')) process.exit(7);
    if (request.url.endsWith('/block')) for (;;);
    if (request.url.endsWith('/hoard')) { ${HOARD} }
    return new Response('fine');
  },
};
`;

async function until(what: string, isTrue: () => Promise<boolean>, limitMs = 30_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`after ${limitMs} ms still not: ${what}`);
    await sleep(50);
  }
}

describeOnEngines('a bad handler', (engine) => {
  let directory: string;
  let server: TestServer;
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'ebb-e2e-bad-'));
    server = await startTestServer({ engine, env: { EBB_START_TIMEOUT: '2s', EBB_POOL_SIZE: '1' } });
    await deploy('fine', 'export default () => "fine";', { scale: { idle: '100ms' } });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  async function deploy(name: string, source: string, spec: FunctionSpecInput = {}): Promise<void> {
    const from = path.join(directory, name);
    await mkdir(from, { recursive: true });
    await writeFile(path.join(from, 'index.mjs'), source);
    const archive = execFileSync('tar', ['-C', from, '-cf', '-', '.']);
    const { digest } = await server.client.code.upload(DEFAULT_NAMESPACE, archive, 'tar');
    await server.client.functions.deploy(
      { namespace: DEFAULT_NAMESPACE, name },
      { spec: { runtime: 'node', ...spec }, code: digest },
      { probe: false },
    );
  }
  const call = async (name: string, at = '') => {
    const response = await fetch(server.functionUrl(name, at));
    const text = await response.text();
    return { status: response.status, body: (response.ok ? { text } : JSON.parse(text)) as Partial<ErrorBody> };
  };
  const startsFromSpare = async () => {
    const { status } = await call('fine');
    const [instance] = await server.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name: 'fine' });
    if (instance?.start?.spare === 'used') return status === 200;
    // Its idle time over, the next call is a start again.
    await sleep(700);
    return false;
  };

  test.each(BROKEN)(
    'that $name is $code with its last lines, and starts neither a storm nor spoils the pool',
    async ({ name, source, status, code, said, spec }) => {
      await deploy(name, source, { concurrency: 1, ...spec });
      const answers = await Promise.all(Array.from({ length: CALLS }, () => call(name)));
      expect(new Set(answers.map((answer) => `${answer.status} ${answer.body.code}`))).toEqual(
        new Set([`${status} ${code}`]),
      );
      for (const { body } of answers) expect(body.logs?.join('\n')).toMatch(said);
      const starts = (await server.ebbOk(['logs', name])).split('\n').filter((line) => line.includes('begun'));
      expect(starts.length).toBeLessThanOrEqual(MOST_STARTS);
      const told = await server.ebb(['invoke', name]);
      expect(told.stderr).toContain(code);
      expect(told.stderr).toMatch(said);
      await until('the back-off is shown', async () => {
        await call(name);
        return /held back for \d+ s after \d+ failures/.test(await server.ebbOk(['describe', name]));
      });
      await server.ebbOk(['remove', name]);
      await until('the next function starts from a spare', startsFromSpare);
    },
  );

  test('that outgrows its memory in a call is OUT_OF_MEMORY, with what the call wrote, and held back when it goes on', async () => {
    await deploy('grows', AT_CALL, { ...SMALL, concurrency: 1 });
    expect((await call('grows')).status).toBe(200);
    const answer = await call('grows', '/hoard');
    expect([answer.status, answer.body.code, answer.body.logs]).toEqual([502, 'OUT_OF_MEMORY', ['called /hoard']]);
    await until('the back-off is shown', async () => {
      expect((await call('grows', '/hoard')).body.code).toBe('OUT_OF_MEMORY');
      return /held back for \d+ s after \d+ failures: .* ran out of memory/.test(
        await server.ebbOk(['describe', 'grows']),
      );
    });
    await until('it serves again', async () => (await call('grows')).status === 200);
    await server.ebbOk(['remove', 'grows']);
  });

  test('that ends in a call is INSTANCE_CRASHED, with what the call wrote and how it ended', async () => {
    await deploy('quits', AT_CALL);
    expect((await call('quits', '/exit')).body).toMatchObject({
      code: 'INSTANCE_CRASHED',
      message: 'the instance of quits ended with code 7 during the call',
      logs: ['called /exit'],
    });
    await server.ebbOk(['remove', 'quits']);
  });

  test('that blocks its event loop in a call is INSTANCE_BLOCKED, and the next call gets another instance', async () => {
    await deploy('stands', AT_CALL, { timeout: '2s', scale: { max: 1 } });
    expect((await call('stands')).status).toBe(200);
    expect((await call('stands', '/block')).body.code).toBe('INSTANCE_BLOCKED');
    expect((await call('stands')).status).toBe(200);
    expect(await server.ebbOk(['logs', 'stands'])).toContain('does not answer any more and is replaced');
    await server.ebbOk(['remove', 'stands']);
  });
});
