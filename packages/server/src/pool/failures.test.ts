import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ErrorBody } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually } from '../../../../testing/harness/gateway.ts';
import { createMemoryHost } from '../engines/memory/memory-engine.ts';

const ok: RequestListener = (_request, response) => response.end('ok');
const codeOf = async (response: Response) =>
  response.status === 200 ? 200 : ((await response.json()) as ErrorBody).code;

describe('starts that fail', () => {
  test('those who wait are not told while another start may still succeed', async () => {
    let made = 0;
    await using harness = await createGatewayHarness({
      serve: (_spec, controls) => {
        made += 1;
        if (made < 3) setImmediate(() => controls.exit());
        return ok;
      },
      faults: { readyDelayMs: 100 },
    });
    await harness.deploy('flaky', { concurrency: 1 });
    const answers = await Promise.all([1, 2, 3].map(() => fetch(`${harness.url}/function/flaky`)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test('case 40: many failing at the same moment are one failure to the back-off', async () => {
    const faults = { crashingStarts: 20 };
    await using harness = await createGatewayHarness({ serve: () => ok, faults, maxConcurrentStarts: 20 });
    await harness.deploy('burst', { concurrency: 1 });
    await Promise.all(Array.from({ length: 20 }, () => fetch(`${harness.url}/function/burst`)));
    faults.crashingStarts = 0;
    await eventually(async () => (await fetch(`${harness.url}/function/burst`)).status === 200, 3_000);
  });

  test('case 40: no further start is made once two have failed and those who waited were told', async () => {
    const faults = { crashingStarts: 1_000 };
    await using harness = await createGatewayHarness({ serve: () => ok, faults, maxConcurrentStarts: 1 });
    await harness.deploy('broken', { concurrency: 1 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => fetch(`${harness.url}/function/broken`)));
    expect(new Set(await Promise.all(answers.map(codeOf)))).toEqual(new Set(['START_FAILED']));
    expect(harness.engine.createCount()).toBe(2);
  });

  test('case 40: while starts are held back the function says why, how often they failed and until when', async () => {
    const faults = { crashingStarts: 1_000 };
    await using harness = await createGatewayHarness({ serve: () => ok, faults });
    await harness.deploy('held');
    await fetch(`${harness.url}/function/held`);
    const [version] = [...harness.pools.all()].map((pool) => pool.version);
    if (!version) throw new Error('no pool');
    const { startsHeld } = harness.pools.functionState(version);
    expect(startsHeld).toMatchObject({ reason: expect.stringContaining('ended with code 1') as string, failures: 2 });
    expect(Date.parse(startsHeld?.until ?? '')).toBeGreaterThan(Date.now());
    faults.crashingStarts = 0;
    await eventually(async () => (await fetch(`${harness.url}/function/held`)).status === 200, 3_000);
    expect(harness.pools.functionState(version).startsHeld).toBeUndefined();
    expect(harness.pools.list('openfaas-fn', 'held')[0]?.start).toMatchObject({ spare: 'off' });
  });

  test('an engine that fails is named as the reason, and tried again soon', async () => {
    const faults = { failingCreates: 1_000 };
    await using harness = await createGatewayHarness({ serve: () => ok, faults });
    await harness.deploy('waiting');
    const first = await fetch(`${harness.url}/function/waiting`);
    expect([first.status, first.headers.get('retry-after'), await codeOf(first)]).toEqual([503, '1', 'ENGINE_FAILED']);
    expect(await codeOf(await fetch(`${harness.url}/function/waiting`))).toBe('ENGINE_FAILED');
    faults.failingCreates = 0;
    await eventually(async () => (await fetch(`${harness.url}/function/waiting`)).status === 200, 3_000);
  });
});

test('a function whose queue has no length still starts from zero and grows to max', async () => {
  const held: (() => void)[] = [];
  const serve = (): RequestListener => (_request, response) => void held.push(() => response.end('ok'));
  await using harness = await createGatewayHarness({ serve });
  await harness.deploy('strict', { concurrency: 1, scale: { max: 2 }, queue: { length: 0 } });
  const calls = [fetch(`${harness.url}/function/strict`), fetch(`${harness.url}/function/strict`)];
  await eventually(() => held.length === 2);
  expect(await codeOf(await fetch(`${harness.url}/function/strict`))).toBe('QUEUE_FULL');
  for (const answer of held) answer();
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200]);
});

describe('an engine that is away when the server starts', () => {
  test('E1: exits are noticed and leftovers adopted once it is back', async () => {
    const host = createMemoryHost();
    const first = await createGatewayHarness({ serve: () => ok, host });
    await first.deploy('kept');
    await fetch(`${first.url}/function/kept`);
    await first.kill();
    const faults = { isHanging: true };
    await using second = await createGatewayHarness({ serve: () => ok, host, store: first.store, faults });
    expect(second.engine.createCount()).toBe(0);
    faults.isHanging = false;
    host.events.send({ kind: 'resync' });
    await eventually(() => second.pools.size === 1);
    expect((await fetch(`${second.url}/function/kept`)).status).toBe(200);
    expect(second.engine.createCount()).toBe(0);
    const [{ id } = { id: '' }] = await second.engine.list();
    second.engine.crash(id);
    await eventually(() => second.pools.size === 0);
  });
});

test('E1: an instance that comes into service while the engine is looked through is not taken for a lost one', async () => {
  await using harness = await createGatewayHarness({
    serve: () => (_request, response) => void setTimeout(() => response.end('ok'), 300),
    faults: { createDelayMs: 50 },
  });
  await harness.deploy('f', { concurrency: 1 }, { probe: false });
  const list = harness.engine.list.bind(harness.engine);
  const calling = fetch(`${harness.url}/function/f`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  harness.engine.list = async () => {
    const before = await list();
    await eventually(() => harness.pools.list('openfaas-fn', 'f').length === 1);
    return before;
  };
  await harness.pools.reconcile();
  expect(harness.pools.list('openfaas-fn', 'f').map(({ state }) => state)).toEqual(['busy']);
  expect((await calling).status).toBe(200);
});

describe('races of a version that no longer serves', () => {
  test('V2: a call resolved to it before is served by it, and nothing of it stays, whatever its minimum', async () => {
    await using harness = await createGatewayHarness({
      serve:
        ({ labels }) =>
        (_request, response) =>
          response.end(String(labels.version)),
    });
    await harness.deploy('moved', { scale: { min: 1 }, env: { V: '1' } });
    await eventually(() => [...harness.pools.all()].some(({ ready }) => ready === 1));
    const [old] = [...harness.pools.all()];
    if (!old) throw new Error('no pool');
    await harness.deploy('moved', { scale: { min: 1 }, env: { V: '2' } });
    await eventually(() => harness.pools.find(old.version.key) === undefined);
    const slot = await harness.pools.acquire(old.version);
    expect(slot.endpoint.instanceId).toContain('moved-1-');
    slot.release();
    await eventually(async () => (await harness.engine.list()).every(({ labels }) => labels.version === 2));
  });

  test('E1: an instance whose version is replaced while it is being adopted is stopped', async () => {
    const host = createMemoryHost();
    const first = await createGatewayHarness({ serve: () => ok, host });
    await first.deploy('late');
    await fetch(`${first.url}/function/late`);
    const [version] = [...first.pools.all()].map((pool) => pool.version);
    const [instance] = await first.engine.list();
    if (!version || !instance) throw new Error('nothing runs');
    await first.kill();
    const faults = { isHanging: true };
    await using second = await createGatewayHarness({ serve: () => ok, host, store: first.store, faults });
    faults.isHanging = false;
    const pool = second.pools.of(version);
    const adopting = pool.adopt(instance);
    pool.retire();
    await adopting;
    await eventually(async () => (await second.engine.list()).length === 0);
  });
});

test('closing stops busy instances at once', async () => {
  const harness = await createGatewayHarness({ serve: () => () => {} });
  await harness.deploy('busy');
  void fetch(`${harness.url}/function/busy`).catch(() => {});
  await eventually(() => [...harness.pools.all()].some(({ inFlight }) => inFlight === 1));
  const slot = await harness.pools.acquire([...harness.pools.all()].map(({ version }) => version)[0] ?? fail());
  await harness[Symbol.asyncDispose]();
  slot.release();
}, 10_000);

function fail(): never {
  throw new Error('no pool');
}

test('an instance that cut a connection gets no further call until it has been reached anew', async () => {
  const dying = new Set<object>();
  let calls = 0;
  await using harness = await createGatewayHarness({
    serve: (_spec, controls) => (request, response) => {
      if (request.url === '/healthz') {
        response.statusCode = dying.has(controls) ? 500 : 200;
        response.end();
        return;
      }
      calls += 1;
      if (calls === 1) {
        dying.add(controls);
        setTimeout(() => controls.exit(), 100);
      }
      // The other connections of a dying process break too, one after the other.
      if (dying.has(controls)) request.socket.destroy();
      else response.end('alive');
    },
  });
  await harness.deploy('mortal', { image: 'mortal', healthPath: '/healthz' });
  expect((await fetch(`${harness.url}/function/mortal`)).status).toBe(502);
  expect(await (await fetch(`${harness.url}/function/mortal`)).text()).toBe('alive');
});

test('an instance that cut one connection but lives stays', async () => {
  let calls = 0;
  const serve = () => (request: IncomingMessage, response: ServerResponse) => {
    calls += 1;
    if (calls === 1) request.socket.destroy();
    else response.end('alive');
  };
  await using harness = await createGatewayHarness({ serve });
  await harness.deploy('rude');
  expect((await fetch(`${harness.url}/function/rude`)).status).toBe(502);
  expect(await (await fetch(`${harness.url}/function/rude`)).text()).toBe('alive');
  expect(harness.engine.createCount()).toBe(1);
});
