import { formatDuration, type JobResource, type TaskResource } from '@ebb/contract';
import type { Output, Style } from '../terminal/output.ts';

const BAR_CELLS = 24;

const COLOURS: Readonly<Record<JobResource['state'], Style>> = {
  queued: 'dim',
  running: 'bold',
  succeeded: 'green',
  failed: 'red',
  cancelled: 'yellow',
};

/** How fast a job goes. */
export interface JobPace {
  /** Tasks a second lately; 0 while that is not known. */
  readonly perSecond: number;
}

/** A state in its colour. */
export function formatState(state: JobResource['state'], output: Pick<Output, 'style'>): string {
  return output.style(COLOURS[state], state);
}

/** Tasks of a job that will not change any more. */
export function doneOf({ tasks }: Pick<JobResource, 'tasks'>): number {
  return tasks.succeeded + tasks.failed + tasks.cancelled;
}

/** One line about a job that runs: a bar, counts, how fast it goes and how long it still takes. */
export function formatProgress(job: JobResource, pace: JobPace, output: Pick<Output, 'style'>): string {
  const { count, tasks, state, reason } = job;
  const done = doneOf(job);
  const cells = Math.round((done / count) * BAR_CELLS);
  const failed = Math.round(((tasks.failed + tasks.cancelled) / count) * BAR_CELLS);
  const good = Math.max(cells - failed, 0);
  const bar =
    output.style('green', '━'.repeat(good)) +
    output.style('red', '━'.repeat(Math.max(cells - good, 0))) +
    output.style('dim', '─'.repeat(BAR_CELLS - Math.max(cells, good)));
  return [
    `${job.id}  ${bar}  ${done}/${count}`,
    ...facts(job, pace, output),
    ...(state === 'queued' && reason ? [reason] : []),
  ].join('  ');
}

/** The same as one plain line, for logs. */
export function formatProgressLine(job: JobResource, pace: JobPace): string {
  const percent = Math.floor((doneOf(job) / job.count) * 100);
  return [
    `${job.id}: ${doneOf(job)}/${job.count} (${percent} %)`,
    ...facts(job, pace, { style: (_, text) => text }),
  ].join(', ');
}

function facts(
  { tasks, count, lost, startedAt }: JobResource,
  { perSecond }: JobPace,
  output: Pick<Output, 'style'>,
): string[] {
  const left = tasks.queued + tasks.running;
  const known: (string | false | undefined)[] = [
    tasks.failed > 0 && output.style('red', `${tasks.failed} failed`),
    tasks.running > 0 && `${tasks.running} running`,
    startedAt === undefined && 'waiting',
    lost > 0 && `${lost} lost`,
    perSecond > 0 && count > 1 && `${rate(perSecond)}/s`,
    perSecond > 0 && left > 0 && count > 1 && `${formatDuration((left / perSecond) * 1000)} left`,
  ];
  return known.filter((text) => typeof text === 'string');
}

function rate(perSecond: number): string {
  return perSecond >= 10 ? perSecond.toFixed(0) : perSecond.toFixed(1);
}

/** How a job ended, in a line. */
export function formatEnd(job: JobResource, output: Pick<Output, 'style'>): string {
  const { tasks, count, startedAt, endedAt, reason, state } = job;
  const took =
    startedAt === undefined || endedAt === undefined
      ? ''
      : ` in ${formatDuration(Date.parse(endedAt) - Date.parse(startedAt))}`;
  const parts = [
    `${tasks.succeeded} of ${count} ${count === 1 ? 'task' : 'tasks'} succeeded`,
    ...(tasks.failed > 0 ? [`${tasks.failed} failed`] : []),
    ...(tasks.cancelled > 0 ? [`${tasks.cancelled} cancelled`] : []),
  ];
  const why = reason !== undefined && state !== 'succeeded' && !reason.includes('tasks failed') ? `; ${reason}` : '';
  return `${job.id} ${formatState(state, output)}${took}: ${parts.join(', ')}${why}`;
}

/** What there is to say about how a task ended. */
export function formatOutcome(task: TaskResource): string {
  if (task.message !== undefined) return task.message;
  if (task.status !== undefined) return `answered ${task.status}`;
  return task.exitCode === undefined ? '' : `exit code ${task.exitCode}`;
}

/** How long a task's last attempt took, or has taken. */
export function formatTook({ startedAt, endedAt }: Pick<TaskResource, 'startedAt' | 'endedAt'>, nowMs: number): string {
  if (startedAt === undefined) return '';
  return formatDuration((endedAt === undefined ? nowMs : Date.parse(endedAt)) - Date.parse(startedAt));
}
