import type { JobResource } from '@ebb/contract';
import type { CommandContext } from '../core/command.ts';
import type { Output, Sink } from '../terminal/output.ts';
import { doneOf, formatEnd, formatProgress, formatProgressLine, type JobPace } from './format-job.ts';

/** Where nobody watches, a line is written this often. */
const LINE_EVERY_MS = 5_000;
/** The rate is that of this time. */
const PACE_MS = 10_000;
const AGAIN_MS = 500;
/** A server that does not come back is waited for so long. */
const GONE_MS = 60_000;

/** What {@link followJobs} needs. */
export interface FollowOptions {
  readonly connect: CommandContext['connect'];
  readonly output: Output;
  readonly stderr: Sink;
  readonly signal: AbortSignal;
  /** Whether somebody is being asked something, so that nothing may be drawn. */
  readonly isPaused?: () => boolean;
}

/**
 * Shows how jobs go on until all have ended: bars on a terminal, plain lines elsewhere, the jobs themselves with `--json`.
 * Returns them as they ended, in the given order.
 */
export async function followJobs(
  jobs: readonly JobResource[],
  options: FollowOptions,
): Promise<readonly JobResource[]> {
  const { output, stderr } = options;
  const isLive = stderr.isTTY === true && !output.mode.quiet && !output.mode.json;
  const latest = new Map(jobs.map((job) => [job.id, job]));
  const paces = new Map(jobs.map(({ id }) => [id, createPace()]));
  const shown = { lines: 0 };

  const draw = (isLast: boolean) => {
    if (!isLive) return;
    if (options.isPaused?.() === true) {
      // What the question left on the screen stays; the next picture begins below.
      shown.lines = 0;
      return;
    }
    const lines = [...latest.values()].map((job) =>
      job.endedAt === undefined ? formatProgress(job, paceOf(job), output) : formatEnd(job, output),
    );
    // Up to where the last picture began, then each line anew.
    const up = shown.lines > 0 ? `\u001b[${shown.lines}A` : '';
    stderr.write(`${up}${lines.map((line) => `\r\u001b[2K${line}\n`).join('')}`);
    shown.lines = isLast ? 0 : lines.length;
  };
  const paceOf = (job: JobResource): JobPace => paces.get(job.id)?.(doneOf(job)) ?? { perSecond: 0 };

  async function follow(job: JobResource): Promise<void> {
    let saidAt = performance.now();
    let heardAt = saidAt;
    for (let again = false; ; again = true) {
      try {
        const { client } = await options.connect({ again });
        for await (const now of client.jobs.watch(job.namespace, job.id, { signal: options.signal })) {
          latest.set(job.id, now);
          heardAt = performance.now();
          if (output.mode.json) output.resultLine(now, () => '');
          else if (isLive) draw(false);
          else if (now.endedAt !== undefined) output.note(formatEnd(now, output));
          else if (performance.now() - saidAt >= LINE_EVERY_MS) {
            saidAt = performance.now();
            output.note(formatProgressLine(now, paceOf(now)));
          }
          if (now.endedAt !== undefined) return;
        }
      } catch (error) {
        options.signal.throwIfAborted();
        // A server that is being replaced, or restarted, goes on with the job.
        const isAnswer = error instanceof Error && error.name === 'EbbApiError';
        if (isAnswer || performance.now() - heardAt > GONE_MS) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  draw(false);
  const ticker = isLive ? setInterval(draw, 1000, false).unref() : undefined;
  try {
    await Promise.all(jobs.map((job) => follow(job)));
  } finally {
    clearInterval(ticker);
    draw(true);
  }
  return jobs.map((job) => latest.get(job.id) ?? job);
}

/** Keeps what was done lately, and says how fast that was. */
function createPace(): (done: number) => JobPace {
  const samples: { readonly at: number; readonly done: number }[] = [];
  return (done) => {
    const at = performance.now();
    samples.push({ at, done });
    while (samples.length > 2 && at - (samples[0]?.at ?? at) > PACE_MS) samples.shift();
    const first = samples[0];
    const seconds = first ? (at - first.at) / 1000 : 0;
    return { perSecond: first && seconds >= 0.3 ? (done - first.done) / seconds : 0 };
  };
}
