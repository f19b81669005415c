import type { LogLine, LogQuery } from '@ebb/contract';

/** Whether a line is among those a query asks for. */
export type LogFilter = (line: LogLine) => boolean;

/** The filter of a query: by moment, instance and call. */
export function createLogFilter(query: LogQuery): LogFilter {
  const since = query.since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(query.since);
  return (line) =>
    (query.instance === undefined || line.instance === query.instance) &&
    (query.callId === undefined || line.callId === query.callId) &&
    (query.since === undefined || Date.parse(line.at) >= since);
}
