import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JobSpecInput, jobSpecSchema } from '@ebb/contract';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Clock, systemClock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import { createLogger } from '../core/logger.ts';
import type { Invoker, PlatformCall } from '../core/ports.ts';
import type { FoundTask, InstanceExit, TaskIo, TaskRuns, TaskSpec } from '../engines/engine.ts';
import type { KeyValue } from '../store/key-value.ts';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import { createAttemptRunner } from './attempt-runner.ts';
import { createJobs } from './create-jobs.ts';
import { createJobStore } from './job-store.ts';
import { LiveJob } from './live-job.ts';
import { createResultFiles } from './result-files.ts';

const NS = 'tests';
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Run {
  readonly spec: TaskSpec;
  readonly end: (exit: Partial<InstanceExit>) => void;
  readonly fail: (error: unknown) => void;
}

/** An engine whose tasks run until a test ends them; containers outlive the server that made them. */
class FakeRuns implements TaskRuns {
  readonly started: TaskSpec[] = [];
  readonly joined: string[] = [];
  readonly stopped: string[] = [];
  readonly running = new Map<string, Run & { readonly found: FoundTask }>();
  decide: ((spec: TaskSpec) => Partial<InstanceExit> | undefined) | undefined;
  most = 0;

  run(spec: TaskSpec, io: TaskIo, signal: AbortSignal): Promise<InstanceExit> {
    this.started.push(spec);
    void io.onOutput('stdout', Buffer.from(`task ${spec.labels.task}\n`));
    return this.#follow({ id: spec.id, labels: spec.labels, state: 'running' }, spec, io, signal);
  }

  join(found: FoundTask, how: Pick<TaskSpec, 'graceMs' | 'cleanup'>, io: TaskIo, signal: AbortSignal) {
    this.joined.push(found.id);
    const spec = this.running.get(found.id)?.spec;
    if (!spec) throw new Error(`there is no ${found.id}`);
    return this.#follow(found, { ...spec, ...how }, io, signal);
  }

  async #follow(found: FoundTask, spec: TaskSpec, io: TaskIo, signal: AbortSignal): Promise<InstanceExit> {
    const over = Promise.withResolvers<InstanceExit>();
    const end = (exit: Partial<InstanceExit>) => over.resolve({ code: 0, outOfMemory: false, ...exit });
    this.running.set(spec.id, { spec, found, end, fail: over.reject });
    this.most = Math.max(this.most, this.running.size);
    signal.addEventListener('abort', () => end({ code: 143, signal: 'SIGTERM' }));
    io.leave?.addEventListener('abort', () => over.reject(io.leave?.reason));
    const decided = this.decide?.(spec);
    if (decided) setImmediate(end, decided);
    const exit = await over.promise;
    this.running.delete(spec.id);
    return exit;
  }

  list = () => Promise.resolve([...this.running.values()].map(({ found }) => found));
  stop = (id: string) => {
    this.stopped.push(id);
    this.running.delete(id);
    return Promise.resolve();
  };
  endGroup() {}
}

/** A function that answers with its body, or as a test says. */
class FakeFunction implements Invoker {
  readonly calls: PlatformCall[] = [];
  answer: (call: PlatformCall) => number | EbbError | 'hang' = () => 200;

  async invoke(call: PlatformCall, sink: Parameters<Invoker['invoke']>[1], signal?: AbortSignal) {
    this.calls.push(call);
    const times = { startedAt: 0, endedAt: 0 };
    const answer = this.answer(call);
    if (answer instanceof EbbError) return { kind: 'failed', error: answer, ...times } as const;
    if (answer === 'hang') {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      return { kind: 'aborted', ...times } as const;
    }
    await sleep(0);
    sink.onHead(answer, ['Content-Type', 'text/plain']);
    if (call.body.kind === 'bytes') await sink.onData(call.body.bytes);
    return { kind: 'answered', status: answer, ...times } as const;
  }
}

interface Setting {
  readonly store?: KeyValue;
  readonly runs?: FakeRuns;
  readonly maxContainers?: number;
  readonly clock?: Clock;
  readonly memoryBytes?: () => number;
}

async function start({
  store = createMemoryKeyValue(),
  runs = new FakeRuns(),
  maxContainers = 100,
  ...setting
}: Setting = {}) {
  const { clock = systemClock } = setting;
  const directory = await mkdtemp(join(tmpdir(), 'ebb-jobs-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  const results = createResultFiles(directory, 4096);
  const invoker = new FakeFunction();
  const lines: string[] = [];
  const logs = {
    append: ({ text }: { readonly text: string }) => void lines.push(text),
    forget: () => Promise.resolve(),
  };
  const jobs = createJobs({
    store: createJobStore(store),
    results,
    runs,
    runner: createAttemptRunner({
      installation: 'test',
      generation: 'g',
      runs,
      invoker,
      namespaces: { get: (name) => ({ name, id: 1, createdAt: '' }) },
      secrets: { reveal: () => Promise.reject(new Error('no secrets')) },
      results,
      logs,
      clock,
    }),
    admission: { admit: () => Promise.resolve({ imageDigest: 'sha256:1' }) },
    logs,
    room: () => ({
      maxContainers,
      maxCalls: 1000,
      namespaceLimit: () => undefined,
      memoryBytes: setting.memoryBytes?.() ?? Infinity,
    }),
    clock,
    logger: createLogger('silent'),
    keptMs: 3_600_000,
  });
  await jobs.start();
  cleanups.push(async () => jobs[Symbol.asyncDispose]());
  const submit = async (spec: JobSpecInput, name?: string) => {
    const [job] = await jobs.submit(NS, [{ spec: jobSpecSchema.parse(spec), ...(name === undefined ? {} : { name }) }]);
    return job?.id ?? '';
  };
  const ended = async (id: string) => {
    for await (const job of jobs.watch(NS, id, AbortSignal.timeout(5_000))) if (job.endedAt !== undefined) return job;
    throw new Error(`${id} did not end`);
  };
  const tasks = (id: string) => jobs.tasks(NS, id, { from: 0, limit: 1000 });
  return { jobs, runs, invoker, store, lines, submit, ended, tasks };
}

const until = async (check: () => boolean) => {
  for (let tries = 0; !check(); tries += 1) {
    if (tries > 500) throw new Error('it did not come to that');
    await sleep(2);
  }
};
const image = (more: Partial<JobSpecInput> = {}): JobSpecInput => ({ image: 'img', ...more });

describe('a job of an image', () => {
  test('runs each task once, with what it is told, and keeps what each wrote', async () => {
    const { jobs, runs, submit, ended, tasks } = await start();
    runs.decide = () => ({ code: 0 });
    const id = await submit(image({ inputs: ['a', 'b', 'c'], env: { MINE: '1' } }));
    expect(await ended(id)).toMatchObject({ state: 'succeeded', count: 3, tasks: { succeeded: 3 } });
    const told = runs.started.map(({ env }) => `${env['EBB_TASK_INDEX']} ${env['EBB_TASK_INPUT']} ${env['MINE']}`);
    expect(new Set(told)).toEqual(new Set(['0 a 1', '1 b 1', '2 c 1']));
    expect(runs.started[0]?.env).toMatchObject({ EBB_JOB: id, EBB_TASK_COUNT: '3', EBB_TASK_ATTEMPT: '1' });
    const result = await jobs.result(NS, id, 1);
    expect((await Array.fromAsync(result.open() as AsyncIterable<Buffer>)).join('')).toBe('task 1\n');
    expect((await tasks(id)).map(({ exitCode, attempt }) => [exitCode, attempt])).toEqual(
      Array.from({ length: 3 }, () => [0, 1]),
    );
  });

  test('never runs more tasks at once than its parallelism, and all jobs no more than the server allows', async () => {
    const { runs, submit, ended } = await start({ maxContainers: 5 });
    runs.decide = () => ({ code: 0 });
    const narrow = await submit(image({ tasks: 20, parallelism: 3 }));
    await ended(narrow);
    expect(runs.most).toBe(3);
    await ended(await submit(image({ tasks: 20 })));
    expect(runs.most).toBe(5);
  });

  test('J2: tries a task that fails again as often as it says, and keeps exit code, signal and whether memory ran out', async () => {
    const { runs, submit, ended, tasks, lines } = await start();
    runs.decide = ({ labels: { task, attempt } }) =>
      task === 0 && attempt < 3 ? { code: 1 } : task === 1 ? { code: 137, signal: 'SIGKILL', outOfMemory: true } : {};
    const id = await submit(image({ tasks: 3, retries: 2 }));
    expect(await ended(id)).toMatchObject({ state: 'failed', reason: '1 of 3 tasks failed' });
    expect(await tasks(id)).toMatchObject([
      { state: 'succeeded', attempt: 3, failures: 2 },
      { state: 'failed', attempt: 3, failures: 3, exitCode: 137, outOfMemory: true, signal: 'SIGKILL' },
      { state: 'succeeded', attempt: 1 },
    ]);
    expect(lines).toContain('task 0, attempt 1: ended with exit code 1; it is tried again');
  });

  test('J3: a fault of the platform makes a new attempt that does not count', async () => {
    const { runs, submit, ended, tasks } = await start();
    const id = await submit(image());
    await until(() => runs.running.size === 1);
    runs.decide = () => ({});
    for (const { fail } of runs.running.values()) fail(new EbbError('ENGINE_UNAVAILABLE', 'the daemon went away'));
    expect(await ended(id)).toMatchObject({ state: 'succeeded', lost: 1 });
    expect(await tasks(id)).toMatchObject([{ attempt: 2, failures: 0, lost: 1 }]);
  });

  test('a task that runs too long is stopped and has failed; a deadline ends the job', async () => {
    const { submit, ended, tasks } = await start();
    const slow = await submit(image({ timeout: '100ms' }));
    expect(await ended(slow)).toMatchObject({ state: 'failed' });
    expect(await tasks(slow)).toMatchObject([{ exitCode: 143, message: 'did not end within its timeout of 100 ms' }]);
    const late = await submit(image({ tasks: 200, parallelism: 2, deadline: '150ms' }));
    expect(await ended(late)).toMatchObject({
      state: 'failed',
      reason: 'it did not end within its deadline of 150ms',
      tasks: { cancelled: 200 },
    });
  });

  test('cancelling stops what runs and begins nothing more', async () => {
    const { jobs, runs, submit, ended } = await start();
    const id = await submit(image({ tasks: 10, parallelism: 2 }));
    await until(() => runs.running.size === 2);
    expect([...jobs.gauges()]).toEqual([{ namespace: NS, open: 1, queued: 8, running: 2 }]);
    expect(jobs.openIn(NS)).toBe(1);
    await jobs.clear(NS);
    expect(jobs.get(NS, id).state).toBe('running');
    await jobs.cancel(NS, id);
    expect(await ended(id)).toMatchObject({ state: 'cancelled', tasks: { cancelled: 10 } });
    expect([...jobs.gauges()]).toEqual([]);
    expect(runs.started).toHaveLength(2);
    await expect(jobs.cancel(NS, id)).rejects.toThrow('has ended');
    // With its namespace all is gone that has ended.
    await jobs.clear(NS);
    expect(() => jobs.get(NS, id)).toThrow('there is no job');
  });

  test('a re-run of what failed keeps the rest with its results', async () => {
    const { jobs, runs, submit, ended, tasks } = await start();
    runs.decide = ({ labels: { task } }) => ({ code: task === 1 ? 1 : 0 });
    const first = await submit(image({ inputs: ['a', 'b', 'c'] }));
    await ended(first);
    runs.decide = () => ({});
    runs.started.length = 0;
    const again = await jobs.rerun(NS, first, { failedOnly: true });
    expect(await ended(again.id)).toMatchObject({ state: 'succeeded', rerunOf: first });
    expect(runs.started.map(({ env }) => env['EBB_TASK_INPUT'])).toEqual(['b']);
    expect(await tasks(again.id)).toMatchObject([{ keptFrom: first }, { state: 'succeeded' }, { keptFrom: first }]);
    expect((await jobs.result(NS, again.id, 2)).sizeBytes).toBe(7);
    await expect(jobs.rerun(NS, again.id, { failedOnly: true })).rejects.toMatchObject({ code: 'NOTHING_TO_RERUN' });
  });

  test('jobs wait for those they come after; when one fails they are skipped with the reason', async () => {
    const { jobs, runs, ended } = await start();
    const spec = (more: Partial<JobSpecInput>) => jobSpecSchema.parse(image(more));
    const [a, b, c] = await jobs.submit(NS, [
      { name: 'a', spec: spec({}) },
      { name: 'b', spec: spec({ after: ['a'] }) },
      { name: 'c', spec: spec({ after: ['b'] }) },
    ]);
    await until(() => runs.running.size === 1);
    expect(runs.started.map(({ labels }) => labels.job)).toEqual([a?.id]);
    for (const { end } of runs.running.values()) end({ code: 0 });
    await until(() => runs.started.length === 2);
    for (const { end } of runs.running.values()) end({ code: 4 });
    expect(await ended(b?.id ?? '')).toMatchObject({ state: 'failed' });
    expect(await ended(c?.id ?? '')).toMatchObject({
      state: 'failed',
      reason: `skipped: the job "${b?.id}" that it comes after failed`,
    });
    expect(runs.started).toHaveLength(2);
  });
});

describe('a job while the host changes', () => {
  test('goes on when the clock is set an hour back or forth between its attempts', async () => {
    let offMs = 0;
    const clock: Clock = { now: () => Date.now() + offMs, monotonic: () => performance.now() };
    const { runs, submit, ended, tasks } = await start({ clock });
    runs.decide = ({ labels: { attempt } }) => {
      offMs = attempt === 1 ? -3_600_000 : 3_600_000;
      return { code: attempt < 3 ? 1 : 0 };
    };
    const id = await submit(image({ retries: 2, deadline: '1m', timeout: '1m' }));
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    expect(await tasks(id)).toMatchObject([{ attempt: 3, failures: 2 }]);
  });

  test('begins once memory that functions had comes free, which nobody announces', async () => {
    let memoryBytes = 0;
    const { runs, submit, ended } = await start({ memoryBytes: () => memoryBytes });
    const first = await submit(image({ memory: '64Mi' }));
    await until(() => runs.running.size === 1);
    const second = await submit(image({ memory: '64Mi' }));
    await sleep(20);
    expect(runs.running.size).toBe(1);
    memoryBytes = 2 ** 30;
    await until(() => runs.running.size === 2);
    for (const { end } of runs.running.values()) end({ code: 0 });
    for (const id of [first, second]) expect(await ended(id)).toMatchObject({ state: 'succeeded' });
  });
});

describe('a job of a function', () => {
  test('calls it once a task, with input and headers; a status from 400 on is a failure', async () => {
    const { jobs, invoker, submit, ended, tasks } = await start();
    invoker.answer = ({ callId }) => (callId.endsWith('.1') ? 422 : 200);
    const id = await submit({ function: 'shout:beta', inputs: ['a', 'b', '{"x":1}'] });
    expect(await ended(id)).toMatchObject({ state: 'failed' });
    expect(await tasks(id)).toMatchObject([{ status: 200 }, { state: 'failed', status: 422 }, { status: 200 }]);
    const [first, , third] = invoker.calls;
    expect(first).toMatchObject({ name: 'shout', qualifier: ':beta', callId: `${id}.0`, attempt: 1, method: 'POST' });
    expect(first?.platformHeaders).toEqual(expect.arrayContaining(['X-Ebb-Job', id, 'X-Ebb-Task-Count', '3']));
    expect(third?.headers).toEqual(['content-type', 'application/json']);
    expect((await jobs.result(NS, id, 0)).contentType).toBe('text/plain');
  });

  test('J3: being refused by a limit, or losing the instance, makes new attempts that do not count', async () => {
    const { invoker, submit, ended, tasks } = await start();
    const errors = [new EbbError('QUEUE_FULL', 'too many wait'), new EbbError('ENGINE_UNAVAILABLE', 'no daemon')];
    invoker.answer = () => errors.shift() ?? 200;
    const id = await submit({ function: 'shout' });
    expect(await ended(id)).toMatchObject({ state: 'succeeded', lost: 2 });
    expect(await tasks(id)).toMatchObject([{ attempt: 3, failures: 0, lost: 2 }]);
  });

  test('ten thousand tasks cost a bounded number of writes each and are all there afterwards', async () => {
    const store = createMemoryKeyValue();
    let writes = 0;
    let commits = 0;
    const counting: KeyValue = {
      get: (key) => store.get(key),
      list: (prefix) => store.list(prefix),
      commit: async (all) => {
        writes += all.length;
        commits += 1;
        await sleep(0);
        return store.commit(all);
      },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
    const { jobs, submit, ended } = await start({ store: counting });
    const id = await submit({ function: 'shout', tasks: 10_000, parallelism: 100 });
    expect(await ended(id)).toMatchObject({ state: 'succeeded', tasks: { succeeded: 10_000 } });
    expect(writes).toBeLessThan(20_010);
    expect(commits).toBeLessThan(writes / 2);
    expect(await jobs.tasks(NS, id, { from: 9_990, limit: 100 })).toHaveLength(10);
  }, 20_000);
});

describe('many jobs at once', () => {
  test('a thousand tasks of a hundred jobs cost a few looks at a job each, not one at every job', async () => {
    const { jobs, submit, ended, runs } = await start({ maxContainers: 20 });
    runs.decide = () => ({ code: 0 });
    const looks = vi.spyOn(LiveJob.prototype, 'isReady');
    const ids = await Promise.all(Array.from({ length: 100 }, () => submit(image({ tasks: 10 }))));
    for (const id of ids) expect(await ended(id)).toMatchObject({ state: 'succeeded' });
    expect(runs.started).toHaveLength(1_000);
    expect(jobs.openIn(NS)).toBe(0);
    expect(looks.mock.calls.length / 1_000).toBeLessThan(5);
    looks.mockRestore();
  }, 20_000);

  test('all end as they should in the room there is, whatever fails, waits or is cancelled meanwhile', async () => {
    const { jobs, submit, ended, runs } = await start({ maxContainers: 7 });
    runs.decide = ({ labels: { task, attempt } }) => ({ code: task % 3 === 0 && attempt === 1 ? 1 : 0 });
    const ids = await Promise.all(
      Array.from({ length: 12 }, (_, n) => submit(image({ tasks: 5, retries: 1, parallelism: 1 + (n % 3) }))),
    );
    await until(() => runs.started.length > 10);
    await jobs.cancel(NS, ids[11] ?? '');
    for (const id of ids.slice(0, 11)) {
      expect(await ended(id)).toMatchObject({ state: 'succeeded', tasks: { succeeded: 5 } });
    }
    expect(await ended(ids[11] ?? '')).toMatchObject({ state: 'cancelled' });
    expect(runs.most).toBeLessThanOrEqual(7);
  });
});

describe('a server that is started again', () => {
  test('J1: goes on with the job; containers that run are joined under their attempt', async () => {
    const first = await start();
    const id = await first.submit(image({ tasks: 6, parallelism: 2 }));
    await until(() => first.runs.running.size === 2);
    const [one] = first.runs.running.values();
    one?.end({ code: 0 });
    await until(() => first.runs.started.length === 3);
    // What a server that is killed never gets to do is not done here either.
    const left = new FakeRuns();
    for (const [key, value] of first.runs.running) left.running.set(key, value);
    const second = await start({ store: copyOf(await first.store.list('')), runs: left });
    await until(() => left.joined.length === 2);
    left.decide = () => ({});
    for (const { end } of left.running.values()) end({ code: 0 });
    expect(await second.ended(id)).toMatchObject({ state: 'succeeded', lost: 0, tasks: { succeeded: 6 } });
    expect((await second.tasks(id)).map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(left.started).toHaveLength(3);
  });

  test('J1 J3: attempts whose container or call is gone are made again under the next number', async () => {
    const first = await start();
    first.invoker.answer = () => 'hang';
    const called = await first.submit({ function: 'shout' });
    const contained = await first.submit(image());
    await until(() => first.runs.running.size === 1 && first.invoker.calls.length === 1);
    const second = await start({ store: copyOf(await first.store.list('')) });
    second.runs.decide = () => ({});
    for (const id of [called, contained]) {
      expect(await second.ended(id)).toMatchObject({ state: 'succeeded', lost: 1 });
      expect(await second.tasks(id)).toMatchObject([{ attempt: 2, failures: 0, lost: 1 }]);
    }
    expect(second.invoker.calls).toMatchObject([{ attempt: 2 }]);
  });

  test('a job that was being cancelled is cancelled', async () => {
    const first = await start();
    const id = await first.submit(image({ tasks: 3, parallelism: 1 }));
    await until(() => first.runs.running.size === 1);
    void first.jobs.cancel(NS, id);
    await sleep(5);
    const entries = (await first.store.list('')).map((entry) => ({ ...entry }));
    const second = await start({ store: copyOf(entries) });
    expect(await second.ended(id)).toMatchObject({ state: 'cancelled' });
  });

  test('E1: containers that nobody knows are removed, those a policy keeps are not', async () => {
    const runs = new FakeRuns();
    const labels = { installation: 'test', namespace: NS, job: 'gone-1', task: 0, attempt: 1, generation: 'old' };
    const found = { id: 'job-1-0-1', labels, state: 'running' } as const;
    runs.list = () => Promise.resolve([found]);
    await start({ runs });
    await until(() => runs.stopped.length === 1);
    expect(runs.stopped).toEqual(['job-1-0-1']);
  });
});

describe('a server that hands over', () => {
  test('J1: leaves containers running, gives calls back, and goes on where the other does not come', async () => {
    const { jobs, runs, invoker, submit, ended, tasks } = await start();
    const contained = await submit(image({ tasks: 2, parallelism: 1 }));
    await until(() => runs.running.size === 1);
    const [kept] = runs.running.values();
    await jobs.hold();
    await sleep(5);
    expect(runs.stopped).toEqual([]);
    expect(runs.started).toHaveLength(1);
    // The container is still there.
    if (kept) runs.running.set(kept.spec.id, kept);
    runs.decide = () => ({});
    jobs.goOn();
    expect(await ended(contained)).toMatchObject({ state: 'succeeded', lost: 0 });
    expect(runs.joined).toHaveLength(1);
    expect((await tasks(contained)).map(({ attempt }) => attempt)).toEqual([1, 1]);
    expect(invoker.calls).toEqual([]);
  });
});

/** A store with the same content, as if the process that had it were gone. */
function copyOf(entries: readonly { readonly key: string; readonly value: string }[]): KeyValue {
  const store = createMemoryKeyValue();
  void store.commit(entries.map(({ key, value }) => ({ kind: 'set', key, value })));
  return store;
}
