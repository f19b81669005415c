import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type AsyncSpecInput, functionSpecSchema } from '@ebb/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EbbError } from '../core/errors.ts';
import type { FunctionRecord, GivenCall, Version } from '../core/ports.ts';
import { createMemoryQueue } from '../store/memory/memory-queue.ts';
import type { Payload } from '../store/queue.ts';
import { type AcceptOptions, createAcceptance, IDEMPOTENCY_MS } from './accept.ts';

const NOW = Date.UTC(2026, 10, 21);
const HOUR = 3_600_000;

function versionOf(version: number, async?: AsyncSpecInput): Version {
  const spec = functionSpecSchema.parse({ runtime: 'node', ...(async && { async }) });
  return { namespace: 'team', name: 'f', version, spec } as unknown as Version;
}

function recordOf(versions: readonly Version[]): FunctionRecord {
  const alias = (name: string, weights: Record<string, number>) => ({ name, spec: { versions: weights, match: [] } });
  return {
    namespace: 'team',
    name: 'f',
    live: versions[0],
    versions,
    aliases: [alias('live', { 1: 100 }), alias('beta', { 1: 40, 2: 60 })],
  } as unknown as FunctionRecord;
}

const RECORD = recordOf([versionOf(1), versionOf(2, { maxAge: '1h', order: 'strict', throttle: '3s' })]);

function files(more: Partial<AcceptOptions['files']>): AcceptOptions['files'] {
  return { maxBytes: 1000, keep: keepAll, open: () => Readable.from([]), ...more };
}

function make(overrides: Partial<AcceptOptions> = {}) {
  const queue = createMemoryQueue();
  const outcomes: string[] = [];
  const acceptance = createAcceptance({
    registry: {
      hasNamespace: () => true,
      resolve: (namespace, name) => (namespace === 'team' && name === 'f' ? RECORD : undefined),
      version: (_namespace, _name, version) =>
        version === 9
          ? Promise.resolve(versionOf(9, { maxAge: '2h' }))
          : Promise.reject(new EbbError('VERSION_NOT_FOUND', 'no such version')),
    },
    queue,
    files: files({ keep: (given) => keepAll(given) }),
    clock: { now: () => NOW },
    maxQueued: 1000,
    onOutcome: (outcome) => outcomes.push(outcome),
    ...overrides,
  });
  return { acceptance, queue, outcomes };
}

async function keepAll(given: AsyncIterable<Uint8Array> | Uint8Array): Promise<Payload> {
  const bytes = given instanceof Uint8Array ? given : Buffer.concat(await Array.fromAsync(given));
  if (bytes.length <= 64) return { kind: 'bytes', bytes };
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { kind: 'file', digest, sizeBytes: bytes.length };
}

const call = (more: Partial<GivenCall> = {}): GivenCall => ({
  namespace: 'team',
  name: 'f',
  qualifier: '',
  method: 'POST',
  path: '/',
  headers: ['Content-Type', 'text/plain'],
  body: { kind: 'bytes', bytes: Buffer.from('hello') },
  ...more,
});

test('A1: a call is accepted when the queue has it, with what the version meant says', async () => {
  const { acceptance, queue, outcomes } = make();
  const { id, duplicate } = await acceptance.enqueue(call({ key: 'k' }));
  expect(duplicate).toBe(false);
  expect(await queue.get(id)).toMatchObject({
    state: 'queued',
    namespace: 'team',
    lane: 'team/f',
    target: { kind: 'function', namespace: 'team', name: 'f', qualifier: '' },
    acceptedAt: NOW,
    runAt: NOW,
    expiresAt: NOW + 6 * HOUR,
    priority: 4,
    rules: { key: 'k', order: 'none', throttleMs: 0, debounceMs: 0 },
  });
  expect(outcomes).toEqual(['accepted']);
});

test('an alias means the version with most of its calls, a number that version, wherever it is kept', async () => {
  const { acceptance, queue } = make();
  const recordOfCall = async (more: Partial<GivenCall>) => queue.get((await acceptance.enqueue(call(more))).id);
  expect(await recordOfCall({ qualifier: ':beta', key: 'k' })).toMatchObject({
    expiresAt: NOW + HOUR,
    rules: { order: 'strict', concurrency: 1, throttleMs: 3000 },
    target: { qualifier: ':beta' },
  });
  expect(await recordOfCall({ qualifier: '@2' })).toMatchObject({ expiresAt: NOW + HOUR });
  expect(await recordOfCall({ qualifier: '@9' })).toMatchObject({ expiresAt: NOW + 2 * HOUR });
});

test.each([
  [{ name: 'g' }, 'FUNCTION_NOT_FOUND'],
  [{ namespace: 'other' }, 'FUNCTION_NOT_FOUND'],
  [{ qualifier: ':gone' }, 'ALIAS_NOT_FOUND'],
  [{ qualifier: '@3' }, 'VERSION_NOT_FOUND'],
  [{ qualifier: '@x' }, 'VERSION_NOT_FOUND'],
] as const)('what %o names is not there, and the body is not even read', async (more, code) => {
  const { acceptance, outcomes } = make({
    files: files({ keep: () => Promise.reject(new Error('it was read')) }),
  });
  await expect(acceptance.enqueue(call(more))).rejects.toMatchObject({ code });
  expect(outcomes).toEqual(['refused']);
});

test('T3: nothing is queued for a namespace whose removal began while it was on its way', async () => {
  let isThere = true;
  const { acceptance, queue, outcomes } = make({
    registry: { hasNamespace: () => isThere, resolve: () => RECORD, version: () => Promise.reject(new Error('none')) },
  });
  const target = { kind: 'url', namespace: 'team', url: 'https://hooks.example/' } as const;
  const post = {
    ...call(),
    name: '',
    payload: { kind: 'none' },
    other: { target, lane: 'team/url:hooks.example' },
  } as const;
  const received = await acceptance.receive(call());
  isThere = false;
  for (const late of [() => acceptance.enqueueKept(post), () => acceptance.enqueue(call()), () => received.queue()])
    await expect(late()).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
  expect(await acceptance.enqueueAll([call()])).toMatchObject([{ code: 'NAMESPACE_NOT_FOUND' }]);
  expect(await queue.count('team')).toMatchObject({ queued: 0 });
  expect(outcomes).toEqual(Array(4).fill('refused'));
});

test('a body that is known to be too large is refused before it has come', async () => {
  const { acceptance } = make({ files: files({ maxBytes: 10, keep: () => Promise.reject(new Error('it was read')) }) });
  async function* none(): AsyncGenerator<Uint8Array> {}
  const body = { kind: 'chunks', chunks: none(), sizeBytes: 11 } as const;
  await expect(acceptance.enqueue(call({ body }))).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
});

test('A1: a call has the id its caller chose, and one of its own where that is taken, also at the same moment', async () => {
  const { acceptance, queue } = make();
  const wantedId = '3f9ecdbf-b290-4fbb-bcb0-6eb9d3f59cad';
  const both = await Promise.all(['/1', '/2'].map((path) => acceptance.enqueue(call({ wantedId, path }))));
  const received = await acceptance.receive(call({ wantedId, path: '/3' }));
  const ids = [...both, await received.queue()].map(({ id }) => id);
  expect(ids[0]).toBe(wantedId);
  expect(new Set(ids).size).toBe(3);
  for (const [index, id] of ids.entries()) expect(await queue.get(id)).toMatchObject({ path: `/${index + 1}` });
});

test('an address for outcomes that must not be called is refused', async () => {
  const { acceptance } = make({
    checkCallback: (url) => {
      throw new EbbError('DESTINATION_REFUSED', `${url} is private`);
    },
  });
  const refused = acceptance.enqueue(call({ callbacks: [{ url: 'http://10.0.0.1/' }] }));
  await expect(refused).rejects.toMatchObject({ code: 'DESTINATION_REFUSED' });
});

test('a call for later is as old as if it had been accepted then', async () => {
  const { acceptance, queue } = make();
  const { id } = await acceptance.enqueue(call({ runAt: NOW + 5 * HOUR, maxAgeMs: 1000 }));
  expect(await queue.get(id)).toMatchObject({
    acceptedAt: NOW,
    runAt: NOW + 5 * HOUR,
    expiresAt: NOW + 5 * HOUR + 1000,
  });
  const past = await acceptance.enqueue(call({ runAt: NOW - HOUR }));
  expect(await queue.get(past.id)).toMatchObject({ runAt: NOW, expiresAt: NOW + 6 * HOUR });
});

test('a namespace with as many calls as it may have is told when to come again; others are not held up', async () => {
  const { acceptance } = make({ maxQueued: 2 });
  await acceptance.enqueueAll([call(), call()]);
  await expect(acceptance.enqueue(call())).rejects.toMatchObject({ code: 'ASYNC_QUEUE_FULL', retryAfterSeconds: 5 });
});

test('of many, each is accepted or refused by itself, in their order', async () => {
  const { acceptance, queue, outcomes } = make({ maxQueued: 10_000 });
  const calls = Array.from({ length: 2_500 }, (_, i) => call(i % 100 === 7 ? { name: 'gone' } : { path: `/${i}` }));
  const all = await acceptance.enqueueAll(calls);
  expect(all).toHaveLength(calls.length);
  for (const [i, outcome] of all.entries()) {
    if (i % 100 === 7) expect(outcome).toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
    else expect((await queue.get(outcome instanceof EbbError ? '' : outcome.id))?.path).toBe(`/${i}`);
  }
  expect(outcomes.filter((one) => one === 'refused')).toHaveLength(25);
  expect(outcomes).toHaveLength(calls.length);
});

test('what was accepted of many stays accepted when the medium fails in the middle', async () => {
  const { queue } = make();
  let batches = 0;
  const { acceptance } = make({
    queue: {
      get: (id) => queue.get(id),
      enqueue: (items, limits) => {
        batches += 1;
        if (batches === 1) return queue.enqueue(items, limits);
        return Promise.reject(new EbbError('STORAGE_FULL', 'the disk is full'));
      },
    },
    maxQueued: 10_000,
  });
  const all = await acceptance.enqueueAll(Array.from({ length: 1_500 }, () => call()));
  expect(all.slice(0, 1_000).every((one) => !(one instanceof EbbError))).toBe(true);
  expect(all.slice(1_000).every((one) => one instanceof EbbError && one.code === 'STORAGE_FULL')).toBe(true);
});

test('33: one idempotency key is one call; with anything else under it the second one is refused', async () => {
  // What tells calls apart, each with values that could be mixed up when they are only put one after the other.
  const part = fc.constantFrom('', 'a', 'ab', 'b');
  const given = fc.record({
    key: fc.constantFrom('k1', 'k2'),
    path: part.map((text) => `/${text}`),
    type: part,
    method: fc.constantFrom('POST', 'PUT'),
    qualifier: fc.constantFrom('', ':beta', '@1'),
    body: fc.oneof(part, fc.constantFrom('x'.repeat(100), 'y'.repeat(100))),
    trace: fc.integer(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(given, { minLength: 2, maxLength: 12 }), async (submits) => {
      const { acceptance } = make();
      const firsts = new Map<string, { readonly same: string; readonly id: string }>();
      for (const { key, trace, body, type, ...rest } of submits) {
        const same = JSON.stringify([rest, body, type]);
        const headers = ['traceparent', String(trace), ...(type === '' ? [] : ['content-type', type])];
        const bytes = Buffer.from(body);
        const submit = acceptance.enqueue(
          call({ ...rest, headers, idempotencyKey: key, body: { kind: 'bytes', bytes } }),
        );
        const first = firsts.get(key);
        if (!first) firsts.set(key, { same, id: (await submit).id });
        else if (first.same === same) expect(await submit).toEqual({ id: first.id, duplicate: true });
        else await expect(submit).rejects.toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' });
      }
    }),
    { numRuns: 50 },
  );
});

test('33: an idempotency key is free again a day after its call was due', async () => {
  let now = NOW;
  const { acceptance, queue } = make({ clock: { now: () => now } });
  const submit = () => acceptance.enqueue(call({ idempotencyKey: 'k', runAt: NOW + HOUR, maxAgeMs: 1000 }));
  const { id } = await submit();
  now = NOW + HOUR + IDEMPOTENCY_MS - 1;
  expect((await submit()).id).toBe(id);
  now += 2;
  await queue.forget({ succeededBefore: 0, cancelledBefore: 0, deadBefore: 0 }, now, 100);
  expect((await submit()).id).not.toBe(id);
});

test('a call that was received is accepted when it is queued, as old as it is then', async () => {
  let now = NOW;
  const { acceptance, queue, outcomes } = make({ clock: { now: () => now } });
  const received = await acceptance.receive(call({ delayMs: 1_000 }));
  expect(received.body).toEqual({ kind: 'bytes', bytes: Buffer.from('hello') });
  expect(await queue.list({ namespace: 'team', limit: 10 })).toEqual([]);
  now += 5_000;
  const { id } = await received.queue();
  expect(await queue.get(id)).toMatchObject({ acceptedAt: now, runAt: now + 1_000 });
  await expect(acceptance.receive(call({ name: 'gone' }))).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
  expect(outcomes).toEqual(['accepted', 'refused']);
});
