import { functionSpecSchema, resolveLimits } from '@ebb/contract';
import { expect, test } from 'vitest';
import type { Version } from '../core/ports.ts';
import { LeasedSlots } from './leased-slots.ts';
import type { SlotMessage, SlotRequest } from './messages.ts';

const spec = functionSpecSchema.parse({ runtime: 'node' });
const VERSION: Version = {
  key: 'openfaas-fn/f@1',
  namespace: 'openfaas-fn',
  name: 'f',
  version: 1,
  digest: `sha256:${'0'.repeat(64)}`,
  spec,
  limits: resolveLimits(spec),
  createdAt: 0,
};
const grant = (lease: number, more: Partial<Extract<SlotMessage, { kind: 'grant' }>> = {}): SlotMessage => ({
  kind: 'grant',
  key: VERSION.key,
  lease,
  instance: 'one',
  target: { kind: 'unix', path: '/nowhere' },
  managed: true,
  hurried: false,
  ...more,
});

test('what a call waited for comes with its lease; who had to wait its turn after a start waited for that start too', async () => {
  const sent: SlotRequest[] = [];
  using slots = new LeasedSlots({ send: (message) => sent.push(message) });
  const { signal } = new AbortController();
  const wait = { cause: 'burst' } as const;
  const early = [slots.acquire(VERSION, signal), slots.acquire(VERSION, signal)];
  await new Promise(setImmediate);
  expect(sent).toEqual([{ kind: 'want', key: VERSION.key, count: 2 }]);
  slots.receive(grant(1, { wait }));
  const late = slots.acquire(VERSION, signal);
  for (const waiting of early) {
    const slot = await waiting;
    expect(slot.wait).toEqual(wait);
    slot.release();
  }
  const slot = await late;
  expect(slot.wait).toEqual({ cause: 'busy' });
  slot.release();
  expect(slots.tryAcquire(VERSION)?.wait).toBeUndefined();
});

test('a call whose slot was free with the first process did not wait', async () => {
  using slots = new LeasedSlots({ send: () => {} });
  const asked = slots.acquire(VERSION, new AbortController().signal);
  slots.receive(grant(1));
  expect((await asked).wait).toBeUndefined();
});
