import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type JobRoom, JobTurns, type JobView } from './job-turns.ts';

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
  const turns = new JobTurns();
  const views = new Map(jobs.map((job) => [job.id, job]));
  for (const job of jobs) turns.put(job);
  for (let id = turns.next(room); id !== undefined; id = turns.next(room)) {
    const job = views.get(id);
    if (!job) throw new Error(`there is no ${id}`);
    const begun = { ...job, running: job.running + 1 };
    views.set(id, begun);
    turns.put(begun);
  }
  return [...views.values()];
}

/** The rule itself, by looking at every job. */
function nextByRule(jobs: readonly JobView[], room: JobRoom): string | undefined {
  const total = (of: (job: JobView) => boolean) => sum(jobs.filter(of));
  const inNamespace = (name: string) => total(({ namespace }) => namespace === name);
  const containers = total(({ isContainer }) => isContainer);
  const calls = total(({ isContainer }) => !isContainer);
  const bytes = jobs.reduce((all, job) => all + (job.isContainer ? job.running * job.memoryBytes : 0), 0);
  const may = jobs.filter((job) => {
    if (!job.isReady || job.running >= job.parallelism) return false;
    if (inNamespace(job.namespace) >= (room.namespaceLimit(job.namespace) ?? Infinity)) return false;
    if (!job.isContainer) return calls < room.maxCalls;
    return containers < room.maxContainers && (containers === 0 || bytes + job.memoryBytes <= room.memoryBytes);
  });
  const [first] = may.toSorted(
    (a, b) => inNamespace(a.namespace) - inNamespace(b.namespace) || a.running - b.running || a.order - b.order,
  );
  return first?.id;
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

  test('is what the rule says, whatever began, ended, became ready or was forgotten before', () => {
    const change = fc.record({
      job: fc.nat(7),
      kind: fc.constantFrom('begin', 'end', 'ready', 'blocked', 'forget'),
    });
    fc.assert(
      fc.property(jobsArbitrary, roomArbitrary, fc.array(change, { maxLength: 80 }), (jobs, room, changes) => {
        const turns = new JobTurns();
        const views = new Map(jobs.map((job) => [job.id, job]));
        for (const job of jobs) turns.put(job);
        const set = (job: JobView) => {
          views.set(job.id, job);
          turns.put(job);
        };
        for (const { job: index, kind } of changes) {
          const next = turns.next(room);
          expect(next).toBe(nextByRule([...views.values()], room));
          const job = views.get(kind === 'begin' ? (next ?? '') : `job-${index}`);
          if (!job) continue;
          if (kind === 'begin') set({ ...job, running: job.running + 1 });
          else if (kind === 'end') set({ ...job, running: Math.max(job.running - 1, 0) });
          else if (kind === 'forget') {
            views.delete(job.id);
            turns.delete(job.id);
          } else set({ ...job, isReady: kind === 'ready' });
        }
        expect(turns.isEmpty).toBe(
          ![...views.values()].some(({ isReady, running, parallelism }) => isReady && running < parallelism),
        );
      }),
    );
  });

  test('looks at a few of the jobs only, however many there are', () => {
    let looks = 0;
    const turns = new JobTurns();
    const put = (order: number, running: number) =>
      turns.put({
        id: `job-${order}`,
        namespace: `n${order % 10}`,
        isContainer: true,
        get running() {
          looks += 1;
          return running;
        },
        isReady: true,
        parallelism: 2,
        memoryBytes: 1,
        order,
      });
    const room = { maxContainers: 100_000, maxCalls: 1, namespaceLimit: () => undefined, memoryBytes: Infinity };
    const jobs = 10_000;
    for (let order = 0; order < jobs; order += 1) put(order, 0);
    looks = 0;
    const chosen = new Set<string>();
    for (let task = 0; task < 1_000; task += 1) {
      const id = turns.next(room) ?? '';
      chosen.add(id);
      put(Number(id.slice('job-'.length)), 1);
    }
    expect(chosen.size).toBe(1_000);
    // For each task a way up and down a heap of a thousand jobs, and one of ten namespaces.
    expect(looks / 1_000).toBeLessThan(200);
  });
});
