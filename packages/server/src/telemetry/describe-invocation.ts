import type { LogLine } from '@ebb/contract';
import type { InvocationEvent } from './invocation-event.ts';

/** The platform's line about a call in the function's log: `GET 200 in 12.3 ms`. */
export function describeInvocation(event: InvocationEvent): LogLine {
  const parts = [`${event.method} ${event.status} in ${milliseconds(event.durationMs)}`];
  if (event.errorCode !== undefined) parts.push(event.errorCode);
  if (event.cold) {
    const start = event.phases.startMs;
    parts.push(start === undefined ? 'cold start' : `cold start ${milliseconds(start)}`);
  }
  if (event.phases.queueMs >= 1) parts.push(`waited ${milliseconds(event.phases.queueMs)}`);
  return {
    at: new Date(event.startedAt + event.durationMs).toISOString(),
    namespace: event.namespace,
    function: event.name,
    version: event.version,
    instance: event.instance ?? '',
    source: 'platform',
    callId: event.callId,
    text: parts.join(', '),
  };
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
