import { expect, test } from 'vitest';
import { foldLanes } from './fold-lanes.ts';

test('each function is one, all addresses of a namespace are one, and so are its queues', () => {
  const lane = (name: string, queued: number, oldestAt?: number) => ({
    lane: `n/${name}`,
    namespace: 'n',
    queued,
    running: 1,
    oldestAt,
  });
  const lanes = [
    lane('f', 3, 1_000),
    lane('url:a.example', 1, 9_000),
    lane('url:b.example:8080', 2, 4_000),
    lane('queue:q', 5),
  ];
  expect(foldLanes(lanes, 10_000)).toEqual([
    { label: 'f.n', queued: 3, running: 1, oldestSeconds: 9 },
    { label: 'url:.n', queued: 3, running: 2, oldestSeconds: 6 },
    { label: 'queue:.n', queued: 5, running: 1, oldestSeconds: 0 },
  ]);
});
