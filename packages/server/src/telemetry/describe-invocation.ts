import { type LogLine, startPhases, type WaitReport } from '@ebb/contract';
import type { InvocationEvent, ShadowReport } from './invocation-event.ts';

/** The platform's line about a call in the function's log: `GET 200 in 12.3 ms`, and why it waited. */
export function describeInvocation(event: InvocationEvent): LogLine {
  const parts = [`${event.method} ${event.status} in ${milliseconds(event.durationMs)}`];
  if (event.attempt !== undefined) parts.push(`attempt ${event.attempt}`);
  if (event.errorCode !== undefined) parts.push(event.errorCode);
  if (event.phases.queueMs >= 1) parts.push(`waited ${milliseconds(event.phases.queueMs)}`);
  if (event.wait) parts.push(describeWait(event.wait));
  if (event.shadow) parts.push(describeShadow(event.shadow));
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

/** `copy of CALL-ID: status-differs from 200`. */
function describeShadow({ of, outcome, primaryStatus }: ShadowReport): string {
  return `copy of ${of}: ${outcome}${outcome === 'status-differs' ? ` from ${primaryStatus}` : ''}`;
}

/** `busy`, `thaw 0.2 ms` or `cold start (burst): admit 0.1 ms, code 0.4 ms, specialise 8.8 ms, init 11 ms`. */
function describeWait({ cause, start, thawMs }: WaitReport): string {
  if (cause === 'busy') return cause;
  if (cause === 'thaw') return thawMs === undefined ? cause : `${cause} ${milliseconds(thawMs)}`;
  const phases = start ? startPhases(start).map(([phase, ms]) => `${phase} ${milliseconds(ms)}`) : [];
  return `cold start (${cause})${phases.length === 0 ? '' : `: ${phases.join(', ')}`}`;
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
