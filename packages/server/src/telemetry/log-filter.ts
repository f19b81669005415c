import type { LogLine } from '@ebb/contract';
import type { LogSelection } from '../core/ports.ts';

/** Whether a line is among those a query asks for. */
export type LogFilter = (line: LogLine) => boolean;

/** The filter of a selection: by moment, instance, call and source. */
export function createLogFilter(selection: LogSelection): LogFilter {
  const since = selection.since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(selection.since);
  return (line) =>
    (selection.sources === undefined || selection.sources.includes(line.source)) &&
    (selection.instance === undefined || line.instance === selection.instance) &&
    (selection.callId === undefined || line.callId === selection.callId) &&
    (selection.since === undefined || Date.parse(line.at) >= since);
}
