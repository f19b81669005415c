import type { IncomingMessage } from 'node:http';
import type { LogLine } from '@ebb/contract';
import { expect, test } from 'vitest';
import type { FunctionRecord, LogSelection } from '../../core/ports.ts';
import { logRoutes } from './log-routes.ts';

const LINE: LogLine = {
  at: '2026-11-22T10:00:00.123Z',
  namespace: 'team',
  function: 'f',
  version: 2,
  instance: 'i-1',
  source: 'stderr',
  callId: 'c-1',
  text: '2026/11/22 10:00:00 Forking fprocess.',
};

const ask = async (query: Record<string, string>) => {
  const read: unknown[] = [];
  const [route] = logRoutes({
    registry: {
      resolve: (namespace, name) => (namespace === 'team' && name === 'f' ? ({} as FunctionRecord) : undefined),
    },
    logs: {
      async *read(scope, selection: LogSelection) {
        read.push(scope, selection);
        yield LINE;
      },
    },
    clock: { now: () => Date.parse('2026-11-22T10:00:01Z') },
  });
  const signal = new AbortController().signal;
  const answer = await route?.run({ params: {}, query, request: {} as IncomingMessage, signal });
  const lines: unknown[] = [];
  for await (const line of answer?.lines ?? []) lines.push(line);
  return { answer, lines, read };
};

test('each line is an object of its own with the function’s name, the text as it was written and a moment', async () => {
  const { answer, lines, read } = await ask({ name: 'f', namespace: 'team', tail: '-1', follow: 'false' });
  expect(answer?.status).toBe(200);
  expect(lines).toEqual([
    {
      name: 'f',
      namespace: 'team',
      instance: 'i-1',
      timestamp: LINE.at,
      text: '2026/11/22 10:00:00 Forking fprocess.',
    },
  ]);
  expect(read[0]).toEqual({ namespace: 'team', name: 'f' });
});

test('a query that cannot be read is 422, and a function that is not there 404', async () => {
  await expect(ask({ name: 'f', namespace: 'team', tail: 'x' })).rejects.toMatchObject({ answeredStatus: 422 });
  await expect(ask({})).rejects.toMatchObject({ answeredStatus: 422 });
  await expect(ask({ name: 'f' })).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND', status: 404 });
});
