import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { deployLab } from '../harness/lab.ts';
import { startLoad } from '../harness/load.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

describeOnEngines('a deploy', (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startTestServer({ engine });
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  test('V2: under load no request fails, and after it only the new version answers', async () => {
    await deployLab(server, 'moving', ['--env', 'LAB_VERSION=1']);
    const seen = new Set<string | null>();
    const load = startLoad(async () => {
      const response = await fetch(server.functionUrl('moving', '/slow?ms=30'));
      seen.add(response.headers.get('x-ebb-version'));
      return response;
    }, 8);
    for (const version of ['2', '3']) {
      await sleep(300);
      await deployLab(server, 'moving', ['--env', `LAB_VERSION=${version}`]);
    }
    const answer = (await (await fetch(server.functionUrl('moving', '/who'))).json()) as { version: string };
    await sleep(300);
    const { ok, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(ok).toBeGreaterThan(50);
    expect(answer.version).toBe('3');
    expect(seen.size).toBe(3);
    expect([...seen].every((version) => /^moving@\d+$/.test(version ?? ''))).toBe(true);
  });

  test('has the instances its calls need before it gets them, and so do a rollback and a change of weights', async () => {
    const ref = { namespace: DEFAULT_NAMESPACE, name: 'narrow' };
    const deploy = async (version: string) => {
      await deployLab(server, 'narrow', ['--no-serve', '--concurrency', '1', '--env', `LAB_VERSION=${version}`]);
      const [{ spec, code = '' } = { spec: {} }] = await server.client.functions.versions(ref);
      await server.client.functions.deploy(ref, { spec: { ...spec, queue: { length: 6 } }, code });
    };
    await deploy('1');
    const calls: Promise<number>[] = [];
    // They come whether others were answered or not.
    const clock = setInterval(
      () => calls.push(fetch(server.functionUrl('narrow', '/slow?ms=100')).then(({ status }) => status)),
      15,
    );
    // Until the first version has as many instances as the calls take: a second's worth was answered.
    const lately = async () => (await Promise.all(calls.slice(-70))).filter((status) => status !== 200);
    await expect.poll(async () => (calls.length > 140 ? lately() : ['too few']), { timeout: 30_000 }).toEqual([]);
    const warmedUp = calls.length;
    await deploy('2');
    await sleep(500);
    await server.client.functions.rollback(ref);
    await sleep(500);
    const [last = 0, first = 0] = (await server.client.functions.versions(ref)).map(({ version }) => version);
    await server.client.aliases.set(ref, 'live', { versions: { [last]: 50, [first]: 50 } });
    await sleep(500);
    clearInterval(clock);
    const statuses = await Promise.all(calls);
    expect(statuses.slice(warmedUp).filter((status) => status !== 200)).toEqual([]);
  });

  test('that does not come up leaves the old version serving and shows the last words of the new one', async () => {
    await deployLab(server, 'solid');
    const broken = await mkdtemp(path.join(tmpdir(), 'ebb-broken-'));
    await writeFile(path.join(broken, 'index.js'), `console.error('my last words'); process.exit(7);\n`);
    const result = await server.ebb(['deploy', broken, '--name', 'solid']);
    await rm(broken, { recursive: true });
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('DEPLOY_FAILED');
    expect(result.stderr).toContain('my last words');
    expect((await fetch(server.functionUrl('solid', '/who'))).status).toBe(200);
    expect(await server.client.functions.get({ namespace: DEFAULT_NAMESPACE, name: 'solid' })).toMatchObject({
      version: 1,
    });
  });

  test('of the same thing makes no new version', async () => {
    await deployLab(server, 'same');
    await deployLab(server, 'same');
    const versions = await server.client.functions.versions({ namespace: DEFAULT_NAMESPACE, name: 'same' });
    expect(versions.map(({ version }) => version)).toEqual([1]);
  });

  test('of a removed function begins anew, and the removed one is 404', async () => {
    await deployLab(server, 'gone');
    await server.ebbOk(['remove', 'gone']);
    expect((await fetch(server.functionUrl('gone', '/who'))).status).toBe(404);
    await deployLab(server, 'gone');
    expect((await fetch(server.functionUrl('gone', '/who'))).status).toBe(200);
  });
});
