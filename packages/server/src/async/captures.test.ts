import { expect, test } from 'vitest';
import { newItem } from '../../../../testing/conformance/queue-items.ts';
import { createMemoryQueue } from '../store/memory/memory-queue.ts';
import { createCaptures } from './captures.ts';

test('T2: a captured request has method, path and headers, and no credentials', async () => {
  const queue = createMemoryQueue();
  const headers = [
    'Accept',
    'a/b',
    'Authorization',
    'Bearer x',
    'Cookie',
    's=1',
    'X-My-Token',
    't',
    'X-Two',
    '1',
    'X-Two',
    '2',
  ];
  await queue.enqueue([newItem('one', { headers })]);
  const captures = createCaptures({ queue });
  expect(await captures.request('one')).toEqual({
    method: 'POST',
    path: '/a?b=c',
    headers: [
      ['Accept', 'a/b'],
      ['X-Two', '1'],
      ['X-Two', '2'],
    ],
    leftOut: ['Authorization', 'Cookie', 'X-My-Token'],
  });
  await expect(captures.request('one', 'other')).rejects.toMatchObject({ code: 'INVOCATION_NOT_FOUND' });
  await expect(captures.request('two')).rejects.toMatchObject({ code: 'INVOCATION_NOT_FOUND' });
});
