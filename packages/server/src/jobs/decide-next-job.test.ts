import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideNextJob, type JobRoom, type JobView } from './decide-next-job.ts';

const jobArbitrary = (order: number): fc.Arbitrary<JobView> =>
  fc.record({
    id: fc.constant(`job-${order}`),
    namespace: fc.constantFrom('a', 'b', 'c'),
    isContainer: fc.boolean(),
    running: fc.constant(0),
    isReady: fc.constant(true),
    parallelism: fc.integer({ min: 1, max: 20 }),
    memoryBytes: fc.integer({ min: 1, max: 100 }),
    order: fc.constant(order),
  });
const jobsArbitrary = fc
  .integer({ min: 1, max: 8 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, order) => jobArbitrary(order))));
const roomArbitrary = fc
  .record({
    maxContainers: fc.integer({ min: 1, max: 30 }),
    maxCalls: fc.integer({ min: 1, max: 30 }),
    limit: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined }),
    memoryBytes: fc.integer({ min: 1, max: 500 }),
  })
  .map(({ limit, ...room }): JobRoom => ({ ...room, namespaceLimit: () => limit }));

/** Begins tasks, as if none ever ended, until none may begin any more. */
function fill(jobs: readonly JobView[], room: JobRoom): readonly JobView[] {
  let views = jobs;
  for (;;) {
    const next = decideNextJob(views, room);
    if (!next) return views;
    views = views.map((job) => (job.id === next.id ? { ...job, running: job.running + 1 } : job));
  }
}

const sum = (jobs: readonly JobView[]) => jobs.reduce((total, { running }) => total + running, 0);

describe('the choice of the next task', () => {
  test('never goes beyond any bound, and stops only at one', () => {
    fc.assert(
      fc.property(jobsArbitrary, roomArbitrary, (jobs, room) => {
        const views = fill(jobs, room);
        const containers = views.filter(({ isContainer }) => isContainer);
        const bytes = containers.reduce((total, { running, memoryBytes }) => total + running * memoryBytes, 0);
        const inNamespace = (name: string) => sum(views.filter(({ namespace }) => namespace === name));
        expect(sum(containers)).toBeLessThanOrEqual(room.maxContainers);
        expect(sum(views) - sum(containers)).toBeLessThanOrEqual(room.maxCalls);
        expect(bytes <= room.memoryBytes || sum(containers) === 1).toBe(true);
        for (const { running, parallelism, namespace } of views) {
          expect(running).toBeLessThanOrEqual(parallelism);
          expect(inNamespace(namespace)).toBeLessThanOrEqual(room.namespaceLimit(namespace) ?? Infinity);
        }
        for (const job of views) {
          const isStopped =
            job.running === job.parallelism ||
            inNamespace(job.namespace) >= (room.namespaceLimit(job.namespace) ?? Infinity) ||
            (job.isContainer
              ? sum(containers) >= room.maxContainers || bytes + job.memoryBytes > room.memoryBytes
              : sum(views) - sum(containers) >= room.maxCalls);
          expect(isStopped).toBe(true);
        }
      }),
    );
  });

  test('is fair: namespaces, and the jobs of one, differ by one task at most where nothing else bounds them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 40 }),
        (a, b, room) => {
          const jobs = [...Array.from({ length: a }, () => 'a'), ...Array.from({ length: b }, () => 'b')].map(
            (namespace, order): JobView => ({
              id: `job-${order}`,
              namespace,
              isContainer: true,
              running: 0,
              isReady: true,
              parallelism: Infinity,
              memoryBytes: 1,
              order,
            }),
          );
          const views = fill(jobs, {
            maxContainers: room,
            maxCalls: 1,
            namespaceLimit: () => undefined,
            memoryBytes: Infinity,
          });
          const [first, second] = ['a', 'b'].map((name) => views.filter(({ namespace }) => namespace === name));
          expect(Math.abs(sum(first ?? []) - sum(second ?? []))).toBeLessThanOrEqual(1);
          for (const group of [first ?? [], second ?? []]) {
            const running = group.map((job) => job.running);
            expect(Math.max(...running) - Math.min(...running)).toBeLessThanOrEqual(1);
          }
        },
      ),
    );
  });
});
