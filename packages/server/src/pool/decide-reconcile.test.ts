import { describe, expect, test } from 'vitest';
import type { Instance } from '../engines/engine.ts';
import { decideReconcile, type ReconcileView } from './decide-reconcile.ts';

const instance = (id: string, more: Partial<Instance> = {}, generation = 'old'): Instance => ({
  id,
  labels: { installation: 'i', namespace: 'n', function: 'f', version: 2, generation },
  target: { kind: 'unix', path: '/x' },
  state: 'running',
  startedAt: 0,
  ...more,
});
const view: ReconcileView = { known: (id) => id === 'mine', serving: (key) => key === 'n/f@2', generation: 'new' };

describe('decideReconcile (E1)', () => {
  test('an instance that serves the live version for an earlier server is adopted', () => {
    expect(decideReconcile([instance('a')], view)).toMatchObject([{ kind: 'adopt', key: 'n/f@2' }]);
  });

  test('a known instance is left alone', () => {
    expect(decideReconcile([instance('mine')], view)).toEqual([]);
  });

  test.each([
    ['has ended', instance('a', { state: 'exited' })],
    ['runs a version that does not serve', instance('a', { labels: { ...instance('a').labels, version: 1 } })],
    ['this server started and lost', instance('a', {}, 'new')],
  ])('an instance that %s is stopped', (_what, found) => {
    expect(decideReconcile([found], view)).toMatchObject([{ kind: 'stop', id: 'a' }]);
  });
});
