import type Dockerode from 'dockerode';
import type { JobSpecInput } from '@ebb/contract';
import { connectDocker } from './docker.ts';
import type { Report } from './report.ts';
import { functionDir, type MeasuredEbb, NAMESPACE, startEbb } from './start-ebb.ts';

const TASKS = 500;
const PARALLELISM = 8;
const COMMAND = ['echo', 'done'];
/** A small image with a shell; the one that tests build. */
const IMAGE = process.env['EBB_BENCH_IMAGE'] ?? 'ebb-test/debian:bookworm';

/**
 * A job of 500 tasks that write one line, eight at once: as containers beside the same containers made by the daemon's own
 * client with the daemon's own defaults, and as calls of a managed runtime. Half of the engine's containers are run before
 * and half after, so that a host that becomes slower or faster meanwhile favours nobody.
 */
export async function benchJobs(report: Report): Promise<void> {
  const docker = await connectDocker(report);
  if (!docker) return;
  if (!(await isThere(docker, IMAGE))) {
    report.leaveOut(`the image ${IMAGE} is not there; run the tests once, or set EBB_BENCH_IMAGE`);
    return;
  }
  await using ebb = await startEbb('docker');
  await ebb.deploy('line', await ebb.upload(functionDir('small')));
  // What is made once, such as the first network namespaces and connections, is not what is measured.
  await runJob(ebb, { image: IMAGE, command: COMMAND, tasks: PARALLELISM, parallelism: PARALLELISM });
  await runAlone(docker, PARALLELISM);

  const beforeMs = await runAlone(docker, TASKS / 2);
  const imageMs = await runJob(ebb, { image: IMAGE, command: COMMAND, tasks: TASKS, parallelism: PARALLELISM });
  const callsMs = await runJob(ebb, { function: 'line', tasks: TASKS, parallelism: PARALLELISM });
  const afterMs = await runAlone(docker, TASKS / 2);

  const aloneMs = beforeMs + afterMs;
  const detail = { engineMs: [beforeMs, afterMs], imageMs: [imageMs], callsMs: [callsMs] };
  report.add({
    measure: `a job of ${TASKS} containers, ${PARALLELISM} at once, of the engine's own time for them`,
    value: imageMs / aloneMs,
    unit: '',
    bar: { atMost: 1.2 },
    detail,
  });
  report.add({
    measure: `the same job with a managed runtime, of the engine's own time for containers`,
    value: callsMs / aloneMs,
    unit: '',
    bar: { atMost: 0.2 },
  });
  report.add({ measure: 'a task of a container, by its share of the job', value: imageMs / TASKS, unit: 'ms' });
  report.add({ measure: 'a task of a call, by its share of the job', value: callsMs / TASKS, unit: 'ms' });
}

/** Runs a job to its end; returns the milliseconds from its submit. Throws when a task failed. */
async function runJob(ebb: MeasuredEbb, spec: JobSpecInput): Promise<number> {
  const startedMs = performance.now();
  const [job] = await ebb.client.jobs.submit(NAMESPACE, [{ spec }]);
  if (!job) throw new Error('the job was not accepted');
  for await (const now of ebb.client.jobs.watch(NAMESPACE, job.id)) {
    if (now.endedAt === undefined) continue;
    if (now.state !== 'succeeded') throw new Error(`the job ${job.id} ${now.state}: ${now.reason ?? ''}`);
    // The end is told a moment later; the server's own clock says when it was.
    return Date.parse(now.endedAt) - Date.parse(now.createdAt);
  }
  throw new Error(`the job ${job.id} did not end after ${performance.now() - startedMs} ms`);
}

/** Runs containers with the daemon's own defaults: create, attach, start, wait for the end, remove. */
async function runAlone(docker: Dockerode, count: number): Promise<number> {
  let left = count;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const container = await docker.createContainer({ Image: IMAGE, Cmd: COMMAND });
      const stream = await container.attach({ stream: true, stdout: true, stderr: true, hijack: true });
      stream.on('data', () => {});
      await container.start();
      await container.wait();
      await container.remove();
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: PARALLELISM }, lane));
  return performance.now() - startedMs;
}

async function isThere(docker: Dockerode, image: string): Promise<boolean> {
  return docker
    .getImage(image)
    .inspect()
    .then(
      () => true,
      () => false,
    );
}
