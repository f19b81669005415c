import { expect, test } from 'vitest';
import { newItem } from '../../../../../testing/conformance/queue-items.ts';
import { acceptItem, type Held } from '../fold-held.ts';
import { MIN_PAYLOAD_BYTES } from './classify-nats-server.ts';
import {
  decodeItemHead,
  decodeStateBody,
  decodeStateHead,
  encodeItem,
  encodeState,
  slim,
  withItem,
} from './encode-held.ts';

const random = (length: number) => Uint8Array.from({ length }, () => Math.random() * 256);
const text = (length: number) => Buffer.from(random(length)).toString('base64').slice(0, length);
const AT = '2026-01-01T00:00:00.000Z';

test('the largest record there can be fits into the smallest message a server has to take', () => {
  const headers = ['X-Long', text(60_000)];
  const body = { kind: 'bytes', bytes: random(65_536) } as const;
  const result = { status: 500, headers, body: { kind: 'bytes', bytes: random(65_536) } } as const;
  const held = acceptItem(newItem('a', { headers, body }), 1, {});
  const attempts = Array.from({ length: 1000 }, (_, index) => {
    const message = text(300);
    return {
      number: index + 1,
      startedAt: AT,
      endedAt: AT,
      end: 'failed',
      version: 3,
      instance: 'i',
      message,
    } as const;
  });
  const outcome = { kind: 'bytes', bytes: random(131_072) } as const;
  const follow = Array.from({ length: 11 }, (_, index) => newItem(`f${index}`, { body: outcome }));
  const ended: Held = { ...held, record: { ...held.record, state: 'dead', attempts, result } };
  for (const message of [encodeItem(ended), encodeState(ended, follow)]) {
    expect(message.body.length + message.head.length).toBeLessThan(MIN_PAYLOAD_BYTES - 4096);
  }
});

test('what an index leaves out comes back whole', () => {
  const item = newItem('a', {
    rules: { key: 'k', order: 'strict', concurrency: 1, throttleMs: 5, debounceMs: 0 },
    origin: { kind: 'replay', of: 'z' },
    callbacks: [{ url: 'https://example.org/' }],
  });
  const held = acceptItem(item, 7, {});
  const { head, body } = encodeItem(held);
  const known = decodeItemHead('a', 7, head);
  expect(known).toEqual(slim(held));
  expect(withItem(known.record, body)).toEqual(held.record);

  const record = { ...held.record, state: 'cancelled', cancelled: 'no', endedAt: 9, nextAt: undefined } as const;
  const ended: Held = { ...held, fence: 3, isDue: false, record };
  const message = encodeState(ended, [newItem('f')]);
  const state = decodeStateHead(known, message.head);
  expect(state).toEqual({ held: slim(ended), hasMore: false, follow: [] });
  expect(decodeStateBody(message.body)).toEqual({
    state: { attempts: [], cancelled: 'no' },
    follow: [newItem('f')],
  });
});

test('a message that is cut short or none of ours is refused', () => {
  const { body } = encodeItem(acceptItem(newItem('a'), 1, {}));
  for (let length = 0; length < body.length; length += 1) {
    expect(() => decodeStateBody(body.subarray(0, length))).toThrow();
  }
});
