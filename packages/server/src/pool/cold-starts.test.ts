import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { DEFAULT_NAMESPACE, type WaitReport } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually, type GatewayHarness } from '../../../../testing/harness/gateway.ts';

const ok: RequestListener = (_request, response) => response.end('ok');
const call = (harness: GatewayHarness, name: string, init?: RequestInit) =>
  fetch(`${harness.url}/function/${name}`, init);
const timingOf = (response: Response) => response.headers.get('server-timing');
/** Durations vary; names and causes do not. */
const shapeOf = (response: Response) => timingOf(response)?.replaceAll(/dur=[\d.]+/g, 'dur=') ?? null;
const waits = ({ events }: GatewayHarness) => events.map(({ wait }) => wait?.cause);
const FROM_ZERO =
  'queue;dur=, admit;dur=, code;dur=, create;dur=, init;dur=, first-byte;dur=, cold;desc="scale-from-zero"';

/** A handler that holds requests until they are let go. */
function createGate() {
  const held: ServerResponse[] = [];
  return {
    serve: () => (_request: IncomingMessage, response: ServerResponse) => void held.push(response),
    held,
    letGo: (count = held.length) => {
      for (const response of held.splice(0, count)) response.end('ok');
    },
  };
}

describe('a call that waited', () => {
  test.each([
    ['read from its connection', undefined],
    ['read by Node', { method: 'POST', body: ReadableStream.from(['x']), duplex: 'half' } as RequestInit],
  ])('tells where the time of a cold start went, and the warm one after it nothing: %s', async (_, init) => {
    await using harness = await createGatewayHarness({ serve: () => ok, faults: { readyDelayMs: 30 } });
    await harness.deploy('f');
    const cold = await call(harness, 'f', init);
    expect([cold.status, shapeOf(cold)]).toEqual([200, FROM_ZERO]);
    expect(timingOf(await call(harness, 'f'))).toBeNull();
    const [first, second] = harness.events;
    expect(first).toMatchObject({ cold: true, wait: { cause: 'scale-from-zero', start: { spare: 'off' } } });
    expect(first?.phases.queueMs).toBeGreaterThan(first?.wait?.start?.initMs ?? Infinity);
    expect(second).toMatchObject({ cold: false, wait: undefined });
  });

  test.each([
    ['read from its connection', undefined],
    ['read by Node', { method: 'POST', body: ReadableStream.from(['x']), duplex: 'half' } as RequestInit],
  ])('keeps what the function says in a Server-Timing of its own: %s', async (_, init) => {
    const serve = (): RequestListener => (_request, response) => {
      response.setHeader('Server-Timing', 'db;dur=5');
      response.end('ok');
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f');
    expect(shapeOf(await call(harness, 'f', init))).toBe(`db;dur=, ${FROM_ZERO}`);
    expect(timingOf(await call(harness, 'f'))).toBe('db;dur=5');
  });

  test('for a further instance says burst, and for a turn busy, which is no cold start', async () => {
    const gate = createGate();
    await using harness = await createGatewayHarness({ serve: gate.serve });
    await harness.deploy('f', { concurrency: 1, scale: { max: 2 } });
    const calls: Promise<Response>[] = [];
    for (let held = 1; held <= 2; held += 1) {
      calls.push(call(harness, 'f'));
      await eventually(() => gate.held.length === held);
    }
    calls.push(call(harness, 'f'));
    await eventually(() => [...harness.pools.all()].some(({ waiting }) => waiting === 1));
    gate.letGo(2);
    await eventually(() => gate.held.length === 1);
    gate.letGo();
    const shapes = (await Promise.all(calls)).map(shapeOf);
    expect(shapes[1]).toContain('cold;desc="burst"');
    expect(shapes[2]).toBe('queue;dur=, first-byte;dur=, wait;desc="busy"');
    expect(new Set(waits(harness))).toEqual(new Set(['burst', 'busy', 'scale-from-zero']));
    expect(harness.events.filter(({ cold }) => cold)).toHaveLength(2);
  });

  test('its turn behind others after a start is told of that start too', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, faults: { readyDelayMs: 30 } });
    await harness.deploy('f', { concurrency: 1, scale: { max: 1 } });
    const answers = await Promise.all([call(harness, 'f'), call(harness, 'f'), call(harness, 'f')]);
    expect(answers.map(shapeOf)).toEqual([FROM_ZERO, FROM_ZERO, FROM_ZERO]);
  });

  test('for an instance in the place of one that was lost says replaced', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('f');
    await call(harness, 'f');
    const [instance] = await harness.engine.list();
    harness.engine.crash(instance?.id ?? '');
    await eventually(() => [...harness.pools.all()].every(({ ready }) => ready === 0));
    expect(shapeOf(await call(harness, 'f'))).toContain('cold;desc="replaced"');
  });

  test('says that it was started from the pool, or that the pool was empty', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, poolSize: 1 });
    await eventually(() => harness.spares.ready === 1);
    await harness.deploy('one');
    await harness.deploy('two');
    const answers = await Promise.all([call(harness, 'one'), call(harness, 'two')]);
    expect(new Set(answers.map(shapeOf))).toEqual(
      new Set([FROM_ZERO.replace('scale-from-zero', 'pool-empty'), FROM_ZERO.replace('create', 'specialise')]),
    );
  });

  test('says that its instance had to thaw', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('f', { scale: { freezeAfter: '100ms' } });
    await call(harness, 'f');
    await eventually(() => [...harness.pools.all()].some((pool) => pool.frozen().length === 1));
    const thawed = await call(harness, 'f');
    expect(shapeOf(thawed)).toBe('queue;dur=, thaw;dur=, first-byte;dur=, wait;desc="thaw"');
    expect(harness.events.at(-1)).toMatchObject({ cold: false, wait: { cause: 'thaw' } satisfies WaitReport });
  });

  test('and failed is told how long', async () => {
    const faults = { crashingStarts: 2, readyDelayMs: 20 };
    await using harness = await createGatewayHarness({ serve: () => ok, faults });
    await harness.deploy('f');
    const failed = await call(harness, 'f');
    expect([failed.status, shapeOf(failed)]).toEqual([503, 'queue;dur=, cold;desc="scale-from-zero"']);
    expect(harness.events.at(-1)).toMatchObject({ cold: true, errorCode: 'START_FAILED' });
  });

  test('is none that found the line full', async () => {
    const gate = createGate();
    await using harness = await createGatewayHarness({ serve: gate.serve });
    await harness.deploy('f', { concurrency: 1, scale: { max: 1 }, queue: { length: 1 } });
    const first = call(harness, 'f');
    await eventually(() => gate.held.length === 1);
    const second = call(harness, 'f');
    await eventually(() => [...harness.pools.all()].some(({ waiting }) => waiting === 1));
    const refused = await call(harness, 'f');
    expect([refused.status, timingOf(refused)]).toEqual([429, null]);
    gate.letGo();
    await eventually(() => gate.held.length === 1);
    gate.letGo();
    await Promise.all([first, second]);
  });
});

describe('the last cold starts of a function', () => {
  const kept = ({ pools }: GatewayHarness, name: string) => pools.coldStarts(DEFAULT_NAMESPACE, name);

  test('are five, newest first, and stay when it is at zero, until it is removed', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('f');
    for (let round = 0; round < 7; round += 1) {
      await call(harness, 'f');
      const [instance] = await harness.engine.list();
      harness.engine.crash(instance?.id ?? '');
      await eventually(async () => (await harness.engine.list()).length === 0);
    }
    expect(kept(harness, 'f')).toHaveLength(5);
    const [newest, before] = kept(harness, 'f');
    expect(newest).toMatchObject({ version: 1, calls: 1, start: { spare: 'off' } });
    expect(Date.parse(newest?.at ?? '')).toBeGreaterThanOrEqual(Date.parse(before?.at ?? ''));
    await harness.remove('f');
    expect(kept(harness, 'f')).toEqual([]);
  });

  test('last over versions, and say how many calls each served at once', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, faults: { readyDelayMs: 30 } });
    await harness.deploy('f');
    await Promise.all(Array.from({ length: 4 }, () => call(harness, 'f')));
    await harness.deploy('f', { env: { A: '2' } });
    await call(harness, 'f');
    expect(kept(harness, 'f').map(({ version, calls }) => [version, calls])).toEqual([
      [2, 1],
      [1, 4],
    ]);
  });

  test('are none where no call waited: nothing is kept of a deploy or of a minimum', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('proved', {}, { probe: true });
    await harness.deploy('kept', { scale: { min: 1 } });
    await eventually(async () => (await harness.engine.list()).length === 2);
    await call(harness, 'proved');
    expect([kept(harness, 'proved'), kept(harness, 'kept')]).toEqual([[], []]);
  });
});
