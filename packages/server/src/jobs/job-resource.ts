import type { JobResource, TaskCounts, TaskResource } from '@ebb/contract';
import { type JobRecord, NEW_TASK, noneOf, type TaskRow } from './job-record.ts';

/** A job as the API shows it. */
export function toJobResource(record: JobRecord, counts: TaskCounts | undefined, lost: number): JobResource {
  const { id, name, namespace, state, spec, count, createdAt, startedAt, endedAt, rerunOf, ending } = record;
  const reason = record.reason ?? ending?.reason;
  return {
    id,
    name,
    namespace,
    state,
    ...(reason === undefined ? {} : { reason }),
    spec,
    count,
    tasks: { ...(counts ?? noneOf(count)) },
    lost,
    createdAt: isoOf(createdAt),
    ...(startedAt === undefined ? {} : { startedAt: isoOf(startedAt) }),
    ...(endedAt === undefined ? {} : { endedAt: isoOf(endedAt) }),
    ...(rerunOf === undefined ? {} : { rerunOf }),
  };
}

/** A task as the API shows it; one that never began was cancelled when its job ended. */
export function toTaskResource(index: number, row: TaskRow | undefined, isOver: boolean): TaskResource {
  const { startedAt, endedAt, result, ...rest } = row ?? NEW_TASK;
  const isCut = isOver && (rest.state === 'queued' || rest.state === 'running');
  return {
    index,
    ...rest,
    ...(isCut ? { state: 'cancelled' } : {}),
    ...(startedAt === undefined ? {} : { startedAt: isoOf(startedAt) }),
    ...(endedAt === undefined || rest.state === 'running' ? {} : { endedAt: isoOf(endedAt) }),
    ...(result === undefined
      ? {}
      : {
          result: {
            sizeBytes: result.sizeBytes,
            ...(result.truncated === undefined ? {} : { truncated: result.truncated }),
            ...(result.contentType === undefined ? {} : { contentType: result.contentType }),
          },
        }),
  };
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
