import { type AsyncPolicy, outcomeSchema, resolveAsync } from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NewItem, QueueRecord } from '../store/queue.ts';
import { type FollowUpInput, followUps } from './decide-follow-ups.ts';

const NOW = Date.parse('2026-01-02T03:04:05.000Z');

function record(more: Partial<QueueRecord> = {}): QueueRecord {
  return {
    id: 'a-call',
    namespace: 'team',
    lane: 'team/resize',
    target: { kind: 'function', namespace: 'team', name: 'resize', qualifier: ':beta' },
    method: 'POST',
    path: '/x',
    headers: ['Content-Type', 'text/plain', 'authorization', 'secret'],
    body: { kind: 'bytes', bytes: Buffer.from('in') },
    acceptedAt: NOW - 1000,
    runAt: NOW - 1000,
    expiresAt: NOW + 1000,
    priority: 4,
    state: 'running',
    seq: 1,
    attempts: [],
    begun: 1,
    failures: 0,
    ...more,
  };
}

function policy(more: Partial<AsyncPolicy>): AsyncPolicy {
  return { ...resolveAsync(), ...more };
}

function decide(more: Partial<FollowUpInput> = {}): FollowUpInput {
  return {
    record: record(),
    ending: {
      kind: 'succeeded',
      result: { status: 200, headers: ['x-a', '1'], body: { kind: 'bytes', bytes: Buffer.from('out') } },
    },
    attempt: {
      number: 1,
      startedAt: new Date(NOW - 250).toISOString(),
      endedAt: new Date(NOW).toISOString(),
      end: 'succeeded',
      status: 200,
    },
    now: NOW,
    ...more,
  };
}

function pairs(headers: readonly string[]): string[] {
  return headers.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${headers[index + 1]}`] : []));
}

function outcomeOf(item: NewItem | undefined) {
  if (item?.body.kind !== 'bytes') throw new Error('the item has no outcome');
  return outcomeSchema.parse(JSON.parse(Buffer.from(item.body.bytes).toString()));
}

describe('followUps', () => {
  test('sends success to what the function names for success, and to what the call named', () => {
    const { items } = followUps(
      decide({
        record: record({ callbacks: [{ url: 'https://hooks.example:8443/done?x=1' }] }),
        policy: policy({ onSuccess: [{ function: 'next:live' }, { queue: 'done' }], onFailure: [{ queue: 'bad' }] }),
      }),
    );
    expect(items.map(({ id, lane, target }) => ({ id, lane, target }))).toEqual([
      {
        id: 'a-call.s0',
        lane: 'team/next',
        target: { kind: 'function', namespace: 'team', name: 'next', qualifier: ':live' },
      },
      { id: 'a-call.s1', lane: 'team/queue:done', target: { kind: 'queue', namespace: 'team', name: 'done' } },
      {
        id: 'a-call.c0',
        lane: 'team/url:hooks.example:8443',
        target: { kind: 'url', namespace: 'team', url: 'https://hooks.example:8443/done?x=1' },
      },
    ]);
    expect(items.map(({ origin }) => origin?.kind)).toEqual(['success', 'success', 'callback']);
  });

  test('sends failure to what the function names for failure, with the reason', () => {
    const { items } = followUps(
      decide({
        ending: { kind: 'dead', reason: 'attempts', message: 'five attempts failed', counts: true },
        policy: policy({ onSuccess: [{ queue: 'done' }], onFailure: [{ function: 'fix@3' }] }),
      }),
    );
    expect(items).toMatchObject([{ id: 'a-call.f0', target: { name: 'fix', qualifier: '@3' } }]);
    expect(outcomeOf(items[0])).toMatchObject({ state: 'dead', reason: 'attempts', message: 'five attempts failed' });
  });

  test('an outcome says what was called with what, and what was answered', () => {
    const { items } = followUps(decide({ policy: policy({ onSuccess: [{ queue: 'done' }] }) }));
    expect(outcomeOf(items[0])).toEqual({
      id: 'a-call',
      namespace: 'team',
      function: 'resize:beta',
      state: 'succeeded',
      acceptedAt: '2026-01-02T03:04:04.000Z',
      endedAt: '2026-01-02T03:04:05.000Z',
      attempts: 1,
      lastAttempt: expect.objectContaining({ number: 1 }) as unknown,
      status: 200,
      headers: { 'x-a': '1' },
      payload: { sizeBytes: 2, contentType: 'text/plain', base64: 'aW4=', path: '/v1/invocations/a-call/payload' },
      result: { sizeBytes: 3, base64: 'b3V0', path: '/v1/invocations/a-call/result' },
    });
    // Credentials of the caller are nobody else's.
    expect(JSON.stringify(outcomeOf(items[0]))).not.toContain('secret');
  });

  test('of bodies that are large an outcome says only where they are', () => {
    const { items } = followUps(
      decide({
        record: record({ body: { kind: 'file', digest: 'sha256:x', sizeBytes: 9_000_000 } }),
        ending: {
          kind: 'succeeded',
          result: { status: 200, headers: [], body: { kind: 'bytes', bytes: new Uint8Array(40_000) } },
        },
        policy: policy({ onSuccess: [{ queue: 'done' }] }),
      }),
    );
    expect(outcomeOf(items[0])).toMatchObject({
      payload: { sizeBytes: 9_000_000, path: '/v1/invocations/a-call/payload' },
      result: { sizeBytes: 40_000, path: '/v1/invocations/a-call/result' },
    });
    expect(outcomeOf(items[0]).result).not.toHaveProperty('base64');
  });

  test('a callback carries the answer itself with the headers receivers go by', () => {
    const headers = ['Content-Type', 'image/png', 'Set-Cookie', 'a=b', 'X-Call-Id', 'forged', 'X-Ebb-Signature', 'no'];
    const { items } = followUps(
      decide({
        record: record({ callbacks: [{ url: 'http://hooks.example/' }], failures: 2 }),
        ending: {
          kind: 'succeeded',
          result: { status: 201, headers, body: { kind: 'bytes', bytes: Buffer.from('x') } },
        },
        policy: policy({ attempts: 7 }),
      }),
    );
    expect(pairs(items[0]?.headers ?? [])).toEqual([
      'Content-Type: image/png',
      'X-Call-Id: a-call',
      'X-Duration-Seconds: 0.250000',
      'X-Function-Status: 201',
      'X-Function-Name: resize.team',
      'X-Retry: 2',
      'X-Retry-Max: 7',
    ]);
    expect(items[0]?.body).toEqual({ kind: 'bytes', bytes: Buffer.from('x') });
  });

  test('a call that never got an answer is called back with 503', () => {
    const { items } = followUps(
      decide({
        record: record({ callbacks: [{ url: 'http://hooks.example/' }] }),
        ending: { kind: 'dead', reason: 'expired', message: 'too old', counts: false },
        attempt: undefined,
      }),
    );
    expect(items[0]?.headers).toContain('503');
    expect(items[0]?.body).toEqual({ kind: 'none' });
  });

  test('outcomes for addresses and queues have no outcome of their own', () => {
    const target = { kind: 'url', namespace: 'team', url: 'http://hooks.example/' } as const;
    const all = policy({ onSuccess: [{ queue: 'x' }] });
    expect(followUps(decide({ record: record({ target }), policy: all })).items).toEqual([]);
  });

  test('functions that are each other’s destination end', () => {
    const loop = policy({ onSuccess: [{ function: 'resize' }] });
    let current = record();
    let hops = 0;
    for (;;) {
      const { items, dropped } = followUps(decide({ record: current, policy: loop }));
      if (items[0] === undefined) {
        expect(dropped).toEqual([{ function: 'resize' }]);
        break;
      }
      current = record({ ...items[0] });
      hops += 1;
    }
    expect(hops).toBe(8);
  });

  test('the same ending decided twice gives the same ids, all different', () => {
    const destination = fc.oneof(
      fc.record({ queue: fc.constantFrom('a', 'b') }),
      fc.record({ function: fc.constantFrom('f', 'g:beta') }),
      fc.record({
        url: fc.constantFrom('https://x.example/', 'http://y.example/p?q', 'http://', 'http://[', 'http://a b'),
      }),
    );
    const many = fc.array(destination, { maxLength: 10 });
    fc.assert(
      fc.property(many, many, fc.boolean(), fc.nat(), (own, callbacks, succeeded, later) => {
        const input = decide({
          record: record({ callbacks }),
          policy: policy({ onSuccess: own, onFailure: own }),
          ...(succeeded ? {} : { ending: { kind: 'dead', reason: 'status', message: 'x', counts: true } }),
        });
        const ids = followUps(input).items.map(({ id }) => id);
        expect(followUps({ ...input, now: NOW + later }).items.map(({ id }) => id)).toEqual(ids);
        expect(new Set(ids).size).toBe(own.length + callbacks.length);
      }),
    );
  });
});
