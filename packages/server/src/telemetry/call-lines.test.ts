import type { LogLine } from '@ebb/contract';
import { expect, test } from 'vitest';
import { createCallLines } from './call-lines.ts';
import type { InvocationEvent } from './invocation-event.ts';

const call = (index: number, more: Partial<InvocationEvent> = {}): InvocationEvent => ({
  callId: `call-${index}`,
  namespace: 'openfaas-fn',
  name: 'busy',
  label: 'busy.openfaas-fn',
  version: 1,
  method: 'GET',
  status: 200,
  startedAt: 0,
  durationMs: 1,
  cold: false,
  phases: { queueMs: 0 },
  ...more,
});

test('a busy function’s calls get a hundred lines a second, failures their own share, and the rest one line', () => {
  const lines: LogLine[] = [];
  const calls = createCallLines({ append: (line) => lines.push(line) });
  for (let i = 0; i < 5_000; i += 1) calls.add(call(i), 10);
  calls.add(call(5_000, { status: 504, errorCode: 'FUNCTION_TIMEOUT' }), 20);
  expect(lines).toHaveLength(101);
  expect(lines.at(-1)).toMatchObject({ callId: 'call-5000' });
  calls.settle(500);
  expect(lines).toHaveLength(101);
  calls.settle(1_010);
  expect(lines.at(-1)?.text).toBe('4900 more calls in the same second; the metrics count them all');
  calls.add(call(6_000), 1_020);
  expect(lines.at(-1)).toMatchObject({ callId: 'call-6000' });
});

test('a quiet function’s log says nothing of calls left out', () => {
  const lines: LogLine[] = [];
  const calls = createCallLines({ append: (line) => lines.push(line) });
  calls.add(call(1), 0);
  calls.settle(5_000, true);
  expect(lines.map(({ callId }) => callId)).toEqual(['call-1']);
});
