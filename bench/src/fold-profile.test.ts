import { expect, test } from 'vitest';
import { foldProfile } from './fold-profile.ts';

const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 4 });

test('counts busy samples of the window alone, each for its function, its place and its stack', () => {
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 3, 5] },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: frame('onData', 'node:net'), children: [4] },
      { id: 4, callFrame: frame('handle', 'file:///x/packages/server/src/gateway/gateway.ts') },
      { id: 5, callFrame: frame('(garbage collector)') },
    ],
    startTime: 1_000,
    // At 1,000, 1,100, 1,200, 1,300, 1,400 and 1,500 µs.
    samples: [4, 4, 2, 3, 4, 5],
    timeDeltas: [0, 100, 100, 100, 100, 100],
  };

  const folded = foldProfile(profile, { fromUs: 1_050, untilUs: 1_450, requests: 10 });

  expect(folded.busyShare).toBe(0.75);
  expect(folded.busyUsPerRequest).toBe(30);
  expect(folded.top).toEqual([
    { name: 'handle gateway/gateway.ts:5', share: 2 / 3 },
    { name: 'onData node:net:5', share: 1 / 3 },
  ]);
  expect(folded.places[0]).toEqual({ name: '`gateway/gateway.ts`', share: 2 / 3 });
  expect(folded.stacks).toEqual(['onData node:net:5 33333', 'onData node:net:5;handle gateway/gateway.ts:5 66667']);
});
