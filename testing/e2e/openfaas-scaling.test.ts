import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveScaleLabels } from '../../packages/server/src/api/openfaas/resolve-scale-labels.ts';
import { eventually } from '../harness/gateway.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' } });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Deploys code with what labels of a deployment come to, since only images are deployed by that API. */
async function deploy(
  name: string,
  labels: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
) {
  const archive = execFileSync('tar', ['-C', path.join(ROOT, 'testing/fixtures/lab'), '-cf', '-', '.']);
  const { digest } = await server.client.code.upload(DEFAULT_NAMESPACE, new Uint8Array(archive), 'tar');
  const { scale, concurrency } = resolveScaleLabels({ labels, env, cpuCores: 1 });
  const spec = { runtime: 'node' as const, scale, concurrency, labels, env };
  await server.client.functions.deploy({ namespace: DEFAULT_NAMESPACE, name }, { spec, code: digest });
}

const countOf = async (name: string) =>
  (await server.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name })).filter(
    ({ state }) => state !== 'draining',
  ).length;

/** Calls a function 10 times a second until it is stopped; resolves then with the statuses. */
function callTenTimesASecond(name: string) {
  const calls: Promise<number>[] = [];
  const timer = setInterval(() => {
    calls.push(fetch(server.functionUrl(name, '/who')).then(async (answer) => (await answer.text(), answer.status)));
  }, 100);
  return async () => {
    clearInterval(timer);
    return new Set(await Promise.all(calls));
  };
}

const PREFIX = 'com.openfaas.scale.';

interface Given {
  readonly what: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Instances that are left after the load. */
  readonly least: number;
  /** How long the second may take. */
  readonly withinMs: number;
}

/** The load goes on at least so long. */
const LOAD_MS = 10_000;

// The three side by side, since each takes the time that the labels give it.
test.concurrent.each<Given>([
  {
    what: 'a target of 5 calls a second',
    name: 'target',
    labels: { [`${PREFIX}type`]: 'rps', [`${PREFIX}target`]: '5' },
    least: 1,
    withinMs: 30_000,
  },
  {
    what: 'nothing but a minimum of 1 and a maximum of 2',
    name: 'bounds',
    labels: { [`${PREFIX}min`]: '1', [`${PREFIX}max`]: '2' },
    least: 1,
    withinMs: 60_000,
  },
  {
    what: 'to zero after 2 seconds',
    name: 'zero',
    labels: {
      [`${PREFIX}type`]: 'rps',
      [`${PREFIX}target`]: '5',
      [`${PREFIX}zero`]: 'true',
      [`${PREFIX}zero-duration`]: '2s',
    },
    least: 0,
    withinMs: 30_000,
  },
])('with $what 10 calls a second have a second replica, which goes after them', async (given) => {
  const { name, labels, least, withinMs } = given;
  await deploy(name, labels);
  const stop = callTenTimesASecond(name);
  const startedAt = performance.now();
  let secondMs: number;
  let statuses: ReadonlySet<number>;
  try {
    await eventually(async () => (await countOf(name)) >= 2, withinMs);
    secondMs = performance.now() - startedAt;
    await sleep(LOAD_MS - secondMs);
  } finally {
    statuses = await stop();
  }
  const endedAt = performance.now();
  await eventually(async () => (await countOf(name)) === least, 60_000);
  expect([...statuses]).toEqual([200]);
  const seconds = [secondMs, performance.now() - endedAt].map((ms) => (ms / 1000).toFixed(1));
  console.info(`${name}: second replica after ${seconds[0]} s, back at ${least} ${seconds[1]} s after the load`);
});

test.concurrent('without the label for it the last replica stays, however long nobody calls', async () => {
  await deploy('kept', { [`${PREFIX}zero-duration`]: '1s' });
  await sleep(5_000);
  expect(await countOf('kept')).toBe(1);
});

test.concurrent('a queue of 40 calls has a replica for every 10 that a target of 10 bears, until it is worked off', async () => {
  const labels = { [`${PREFIX}type`]: 'queue', [`${PREFIX}target`]: '10', [`${PREFIX}target-proportion`]: '1' };
  await deploy('queue', labels, { max_inflight: '1' });
  const url = `${server.url}/async-function/queue/slow?ms=800`;
  const accepted = await Promise.all(Array.from({ length: 40 }, () => fetch(url, { method: 'POST' })));
  expect(new Set(accepted.map(({ status }) => status))).toEqual(new Set([202]));
  let most = 0;
  await eventually(async () => {
    const count = await countOf('queue');
    most = Math.max(most, count);
    return most > 2 && count === 1;
  }, 60_000);
  expect(most).toBeLessThanOrEqual(4);
});
