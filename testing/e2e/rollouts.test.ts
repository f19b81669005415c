import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE, type RolloutResource, type RolloutSpecInput } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { getOnce } from '../harness/held-calls.ts';
import { deployLab } from '../harness/lab.ts';
import { startLoad } from '../harness/load.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

/** Answers with its version; so many percent of its calls fail. */
const HANDLER = `
const failing = Number(process.env.FAILING ?? 0);
export default {
  async fetch() {
    await new Promise((resolve) => setTimeout(resolve, 2));
    const status = Math.random() * 100 < failing ? 500 : 200;
    return new Response(process.env.EBB_VERSION, { status });
  },
};
`;
/** A busy machine makes any version slow at times, which is not what these are about. */
const CANARY: RolloutSpecInput = {
  strategy: 'canary',
  steps: [
    { weight: 10, pause: '400ms' },
    { weight: 50, pause: '400ms' },
  ],
  bake: '400ms',
  latencyFactor: 20,
  latencySlack: '1s',
};

const ref = (name: string) => ({ namespace: DEFAULT_NAMESPACE, name });

async function deploy(server: TestServer, name: string, failing: number, rollout?: RolloutSpecInput) {
  const directory = mkdtempSync(path.join(tmpdir(), 'ebb-rollout-'));
  writeFileSync(path.join(directory, 'index.js'), HANDLER);
  writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
  const archive = execFileSync('tar', ['-C', directory, '-cf', '-', '.']);
  rmSync(directory, { recursive: true });
  const { digest } = await server.client.code.upload(DEFAULT_NAMESPACE, new Uint8Array(archive), 'tar');
  // A number of its own makes it a version of its own.
  const env = { FAILING: String(failing), DEPLOY: String(performance.now()) };
  const body = { spec: { runtime: 'node' as const, env }, code: digest, ...(rollout && { rollout }) };
  return server.client.functions.deploy(ref(name), body);
}

async function until(server: TestServer, name: string, isTrue: (rollout: RolloutResource) => boolean) {
  for (let round = 0; round < 400; round += 1) {
    const rollout = await server.client.rollouts.get(ref(name));
    if (isTrue(rollout)) return rollout;
    await sleep(50);
  }
  throw new Error(JSON.stringify(await server.client.rollouts.get(ref(name)), undefined, 2));
}

const hasEnded = ({ endedAt }: RolloutResource) => endedAt !== undefined;

async function call(server: TestServer, name: string): Promise<string> {
  return (await fetch(server.functionUrl(name))).text();
}

describe.each([
  ['one process', {}],
  ['two gateways', { EBB_GATEWAYS: '2' }],
])('a rollout, %s,', (_where, env) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ engine: 'process', env });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test('takes a canary that fails 5 % back by itself, and says why', async () => {
    await deploy(server, 'bad', 0);
    const load = startLoad(() => fetch(server.functionUrl('bad')), 8);
    const { rollout } = await deploy(server, 'bad', 5, { ...CANARY, steps: [{ weight: 20, pause: '10m' }] });
    expect(rollout).toMatchObject({ state: 'running', from: 1, to: 2, strategy: 'canary' });
    const ended = await until(server, 'bad', hasEnded);
    const { failures } = await load.stop();
    expect(ended).toMatchObject({ state: 'rolled-back', reason: 'MORE_ERRORS', weight: 0 });
    expect(ended.new.failed).toBeLessThanOrEqual(100);
    expect(failures.length).toBeLessThanOrEqual(110);
    expect(new Set(failures)).toEqual(new Set(['500 2']));
    expect(ended.timeline.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['start', 'advance', 'roll-back']),
    );
    for (let round = 0; round < 10; round += 1) expect(await call(server, 'bad')).toBe('1');
    expect(await server.ebbOk(['rollout', 'status', 'bad'])).toContain('ROLLED BACK');
  });

  test('brings a good version to all calls without losing one', async () => {
    await deploy(server, 'good', 0);
    const load = startLoad(() => fetch(server.functionUrl('good')), 8);
    await deploy(server, 'good', 0, CANARY);
    const ended = await until(server, 'good', hasEnded);
    expect((await load.stop()).failures).toEqual([]);
    expect(ended).toMatchObject({ state: 'finished', reason: 'GOOD', weight: 100 });
    expect(ended.timeline.filter(({ action }) => action === 'advance').map(({ weight }) => weight)).toEqual([
      10, 50, 100,
    ]);
    expect(await call(server, 'good')).toBe('2');
  });
});

describe('a rollout', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ engine: 'process' });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test('goes on after the server was killed in the middle', async () => {
    await deploy(server, 'killed', 0);
    await deploy(server, 'killed', 0, { ...CANARY, steps: [{ weight: 50, pause: '2s' }] });
    const load = startLoad(() => fetch(server.functionUrl('killed')), 4);
    await until(server, 'killed', ({ weight }) => weight === 50);
    await sleep(500);
    await server.kill();
    await load.stop();
    await server.start();
    const resumed = await server.client.rollouts.get(ref('killed'));
    expect(resumed).toMatchObject({ state: 'running', weight: 50, step: 0 });
    expect(resumed.timeline.at(-1)).toMatchObject({ action: 'resume', reason: 'RESTARTED' });
    const more = startLoad(() => fetch(server.functionUrl('killed')), 4);
    const ended = await until(server, 'killed', hasEnded);
    await more.stop();
    expect(ended).toMatchObject({ state: 'finished', weight: 100 });
    expect(await call(server, 'killed')).toBe('2');
  });

  test('is paused, resumed, promoted and aborted by hand, and nothing else changes the function meanwhile', async () => {
    await deploy(server, 'hand', 0);
    await deploy(server, 'hand', 0, CANARY);
    expect(await server.ebbOk(['rollout', 'pause', 'hand'])).toContain('hand is paused');
    await expect(deploy(server, 'hand', 0)).rejects.toMatchObject({ code: 'ROLLOUT_RUNNING' });
    await expect(deploy(server, 'hand', 0, CANARY)).rejects.toMatchObject({ code: 'ROLLOUT_RUNNING' });
    expect(await server.ebbOk(['rollout', 'resume', 'hand'])).toContain('hand is running');
    expect(await server.ebbOk(['rollout', 'abort', 'hand'])).toBe(
      'hand is aborted: version 2 gets 0 %, version 1 100 %\n',
    );
    expect(await call(server, 'hand')).toBe('1');
    await deploy(server, 'hand', 0, CANARY);
    await server.ebbOk(['rollout', 'promote', 'hand']);
    expect(await call(server, 'hand')).toBe('3');
    await expect(server.client.rollouts.change(ref('hand'), 'pause')).rejects.toMatchObject({
      code: 'ROLLOUT_NOT_RUNNING',
    });
    expect((await server.client.rollouts.list(ref('hand'))).map(({ state }) => state)).toEqual(['promoted', 'aborted']);
  });

  test('is begun and followed from the command line', async () => {
    await deployLab(server, 'typed');
    const lab = path.join(ROOT, 'testing/fixtures/lab');
    const deployed = await server.ebbOk(['deploy', lab, '--name', 'typed', '--env', 'N=1', '--rollout', 'linear']);
    expect(deployed).toContain('typed takes over by linear: version 1 to 2');
    const following = server.ebb(['rollout', 'status', 'typed', '--follow']);
    await until(server, 'typed', ({ weight }) => weight === 10);
    await server.ebbOk(['rollout', 'abort', 'typed']);
    const { code, stdout } = await following;
    expect(code).toBe(1);
    const lines = stdout.toString().trim().split('\n');
    expect(lines.map((line) => line.split(/ +/)[1])).toEqual(['start', 'advance', 'abort']);
    expect(await server.ebb(['rollout', 'pause', 'typed'])).toMatchObject({ code: 1 });
    expect(await server.ebb(['rollout', 'status', 'nobody'])).toMatchObject({ code: 3 });
    const wrong = await server.ebb(['deploy', lab, '--name', 'typed', '--rollout', 'quick']);
    expect(wrong.stderr).toContain('"rollout.strategy" is "quick" but must be "all-at-once", "linear", "canary"');
  });

  test('blue-green starts the new version in full at 0 %, and keeps the old one until it is over', async () => {
    await deploy(server, 'blue', 0);
    const load = startLoad(() => fetch(server.functionUrl('blue')), 8);
    await deploy(server, 'blue', 0, { ...CANARY, strategy: 'blue-green', steps: undefined, bake: '1s' });
    await until(server, 'blue', ({ weight }) => weight === 100);
    const instances = await server.client.functions.instances(ref('blue'));
    expect(new Set(instances.map(({ version }) => version))).toEqual(new Set([1, 2]));
    const ended = await until(server, 'blue', hasEnded);
    expect((await load.stop()).failures).toEqual([]);
    expect(ended.timeline.map(({ action, weight }) => [action, weight])).toEqual([
      ['start', 0],
      ['advance', 100],
      ['finish', 100],
    ]);
  });

  test('ends with a rollback by hand, which sends all calls back without anybody knowing of the rollout', async () => {
    await deploy(server, 'regretted', 0);
    await deploy(server, 'regretted', 0, { ...CANARY, steps: [{ weight: 50, pause: '10m' }] });
    await until(server, 'regretted', ({ weight }) => weight === 50);
    await server.ebbOk(['rollback', 'regretted']);
    for (let round = 0; round < 10; round += 1) expect(await call(server, 'regretted')).toBe('1');
    expect(await server.client.rollouts.get(ref('regretted'))).toMatchObject({ state: 'aborted', weight: 0 });
  });

  test('begins also with a version that is stored already', async () => {
    await deploy(server, 'again', 0);
    const body = async (version: number) => {
      const { spec, code } = await server.client.versions.get(ref('again'), version);
      return { spec, ...(code === undefined ? {} : { code }) };
    };
    await deploy(server, 'again', 0);
    const rollout: RolloutSpecInput = { ...CANARY, steps: [{ weight: 50, pause: '10m' }] };
    const begun = await server.client.functions.deploy(ref('again'), { ...(await body(1)), rollout });
    expect(begun.rollout).toMatchObject({ from: 2, to: 1 });
    await server.ebbOk(['rollout', 'promote', 'again']);
    expect(await call(server, 'again')).toBe('1');
  });
});

describe('a rollout during which another server takes over', () => {
  test('goes on there, and no call is lost', async () => {
    await using server = await startTestServer({ engine: 'process' });
    await deploy(server, 'moved', 0);
    const load = startLoad(
      () => getOnce(server.functionUrl('moved')).then(({ status }) => new Response('', { status })),
      4,
    );
    await deploy(server, 'moved', 0, { ...CANARY, steps: [{ weight: 30, pause: '3s' }] });
    await until(server, 'moved', ({ weight }) => weight === 30);
    await server.takeOver();
    const ended = await until(server, 'moved', hasEnded);
    expect((await load.stop()).failures).toEqual([]);
    expect(ended).toMatchObject({ state: 'finished', weight: 100 });
    expect(ended.timeline.map(({ reason }) => reason)).toContain('RESTARTED');
    expect(server.output()).not.toContain('a rollout could not go on');
  });
});
