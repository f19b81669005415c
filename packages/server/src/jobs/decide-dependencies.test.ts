import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideAfter, decideDependencies } from './decide-dependencies.ts';

const job = (name: string, ...after: string[]) => ({ id: `${name}-1`, name, after });

describe('the order of jobs', () => {
  test('names of jobs that are submitted together become ids; ids of others stay', () => {
    expect(decideDependencies([job('a', 'old-7'), job('b', 'a')], (id) => id === 'old-7')).toEqual({
      kind: 'ok',
      after: [['old-7'], ['a-1']],
    });
  });

  test('what is unknown is refused by name', () => {
    const refused = decideDependencies([job('a', 'nobody')], () => false);
    expect(refused).toMatchObject({ kind: 'refused', message: expect.stringContaining('"nobody"') as string });
  });

  test('a circle is refused with the way around it', () => {
    const refused = decideDependencies([job('a', 'b'), job('b', 'c'), job('c', 'a')], () => false);
    expect(refused).toMatchObject({ message: expect.stringContaining('a after b after c after a') as string });
    expect(decideDependencies([job('a', 'a')], () => false).kind).toBe('refused');
  });

  test('jobs that come after earlier ones only are never refused, and those in a circle always are', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(9), { maxLength: 4 }), { minLength: 1, maxLength: 10 }), (links) => {
        const jobs = links.map((to, at) => job(`j${at}`, ...to.filter((one) => one < at).map((one) => `j${one}`)));
        expect(decideDependencies(jobs, () => false).kind).toBe('ok');
        const last = jobs.length - 1;
        const [first, ...rest] = jobs;
        const circle = [{ ...first, ...job('j0', `j${last}`) }, ...rest].map((one, at) =>
          at === 0 ? one : { ...one, after: [...one.after, `j${at - 1}`] },
        );
        expect(decideDependencies(circle, () => false).kind).toBe('refused');
      }),
    );
  });

  test('a job waits for all, and is skipped with the reason once one of them did not succeed', () => {
    expect(
      decideAfter([
        { id: 'a', state: 'succeeded' },
        { id: 'b', state: 'running' },
      ]),
    ).toEqual({ kind: 'wait' });
    expect(decideAfter([{ id: 'a', state: 'succeeded' }])).toEqual({ kind: 'begin' });
    expect(
      decideAfter([
        { id: 'a', state: 'running' },
        { id: 'b', state: 'failed' },
      ]),
    ).toEqual({
      kind: 'skip',
      reason: 'skipped: the job "b" that it comes after failed',
    });
  });
});
