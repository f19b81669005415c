import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InvocationResource } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import { expect, test } from 'vitest';
import { startTestServer } from '../harness/server.ts';

const CALLS = 120;

/** Every call of a namespace that is in a state. */
async function allOf(client: EbbClient, state: InvocationResource['state']): Promise<InvocationResource[]> {
  const calls: InvocationResource[] = [];
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const page = await client.invocations.list({ state, limit: 1000, cursor });
    calls.push(...page.invocations);
    cursor = page.next;
  }
  return calls;
}

test('A2: a server killed while it redrives loses no letter and redrives none twice', async () => {
  await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' } });
  const cwd = await mkdtemp(path.join(tmpdir(), 'ebb-redrive-'));
  await using made = new AsyncDisposableStack();
  made.defer(() => rm(cwd, { recursive: true, force: true }));
  const deploy = async (status: number) => {
    await mkdir(path.join(cwd, 'work'), { recursive: true });
    const code = `export default { fetch: () => new Response('done', { status: ${status} }) };\n`;
    await writeFile(path.join(cwd, 'work/index.js'), code);
    await server.ebbOk(['deploy', '--name', 'work', 'work'], { cwd });
  };
  await deploy(400);
  const calls = Array.from({ length: CALLS }, () => ({ function: 'work', body: 'x' }));
  const { calls: accepted } = await server.client.invocations.submitAll(calls);
  const ids = accepted.map((one) => ('id' in one ? one.id : '')).toSorted();
  while ((await allOf(server.client, 'dead')).length < CALLS) await sleep(50);
  await deploy(200);

  // In many small steps, so that the kill falls into the middle of them.
  let steps = 0;
  const redriving = (async () => {
    for (; steps * 2 < CALLS; steps += 1) {
      await server.client.deadLetters.redrive({ ids: ids.slice(steps * 2, steps * 2 + 2) });
    }
  })();
  const ended = redriving.then(
    () => 'done',
    () => 'cut off',
  );
  while (steps < 20) await sleep(1);
  await server.kill();
  expect(await ended).toBe('cut off');
  await server.start();
  const before = (await allOf(server.client, 'dead')).filter(({ dead }) => dead?.redrivenAs !== undefined);
  await server.ebbOk(['dead-letters', 'redrive', '--function', 'work']);
  expect(before.length).toBeGreaterThanOrEqual(40);
  expect(before.length).toBeLessThan(CALLS);

  let succeeded: InvocationResource[] = [];
  while ((succeeded = await allOf(server.client, 'succeeded')).length < CALLS) await sleep(50);
  expect(succeeded.map(({ origin }) => origin?.of ?? '').toSorted()).toEqual(ids);
  const letters = await allOf(server.client, 'dead');
  expect(letters.map(({ id }) => id).toSorted()).toEqual(ids);
  expect(letters.map(({ dead }) => dead?.redrivenAs ?? '').toSorted()).toEqual(
    succeeded.map(({ id }) => id).toSorted(),
  );
}, 60_000);
