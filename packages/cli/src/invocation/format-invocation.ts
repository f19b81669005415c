import type { AttemptResource, InvocationResource } from '@ebb/contract';
import { formatBytes } from '@ebb/contract';
import { formatAge, formatMoment } from '../core/format-time.ts';
import type { Output, Style } from '../terminal/output.ts';
import { escapeControls } from '../terminal/escape-controls.ts';
import { formatFields, formatTable } from '../terminal/table.ts';

const STATE_STYLES: Readonly<Record<InvocationResource['state'], Style>> = {
  queued: 'dim',
  running: 'yellow',
  succeeded: 'green',
  dead: 'red',
  cancelled: 'dim',
};

/** Calls in a table, newest first. */
export function formatInvocations(calls: readonly InvocationResource[], nowMs: number): string {
  return formatTable(calls, [
    { title: 'id', value: (call) => call.id },
    { title: 'for', value: (call) => call.target },
    { title: 'state', value: (call) => call.state },
    { title: 'attempts', value: (call) => call.attempts.length, align: 'right' },
    { title: 'accepted', value: (call) => formatAge(call.acceptedAt, nowMs) },
    { title: 'outcome', value: (call) => standing(call, nowMs) },
  ]);
}

/** Dead letters in a table, newest first. */
export function formatDeadLetters(calls: readonly InvocationResource[], nowMs: number): string {
  return formatTable(calls, [
    { title: 'id', value: (call) => call.id },
    { title: 'for', value: (call) => call.target },
    { title: 'reason', value: (call) => call.dead?.reason ?? '' },
    { title: 'attempts', value: (call) => call.attempts.length, align: 'right' },
    { title: 'given up', value: (call) => formatAge(call.endedAt ?? call.acceptedAt, nowMs) },
    { title: 'last', value: (call) => clip(describeEnd(call.attempts.at(-1)) || (call.dead?.message ?? '')) },
  ]);
}

/** One call with every attempt. */
export function formatInvocation(call: InvocationResource, output: Output, nowMs: number): string {
  const { result, dead, origin } = call;
  const fields = formatFields([
    ['Id', call.id],
    ['For', `${call.target} in ${call.namespace}`],
    ['State', output.style(STATE_STYLES[call.state], call.state)],
    ['Why', dead && `${dead.reason}: ${escapeControls(dead.message)}`],
    ['Why', call.cancelled],
    ['Redriven', dead?.redrivenAs && `as ${dead.redrivenAs}`],
    [
      'Request',
      `${call.method} ${escapeControls(call.path)}${call.sizeBytes ? `, ${formatBytes(call.sizeBytes)}` : ''}`,
    ],
    ['Accepted', momentOf(call.acceptedAt, nowMs)],
    ['Next', call.nextAt && momentOf(call.nextAt, nowMs)],
    ['Ended', call.endedAt && momentOf(call.endedAt, nowMs)],
    ['Until', call.endedAt === undefined ? `${momentOf(call.expiresAt, nowMs)} at the latest` : undefined],
    ['Priority', call.priority],
    ['Key', call.key],
    ['From', origin && `${origin.kind} of ${origin.of}`],
    ['Answer', result && describeResult(result)],
  ]);
  return call.attempts.length === 0 ? fields : `${fields}\n\n${formatAttempts(call.attempts, nowMs)}`;
}

function formatAttempts(attempts: readonly AttemptResource[], nowMs: number): string {
  return formatTable(attempts, [
    { title: 'attempt', value: (attempt) => attempt.number, align: 'right' },
    { title: 'began', value: (attempt) => momentOf(attempt.startedAt, nowMs) },
    { title: 'took', value: (attempt) => tookOf(attempt), align: 'right' },
    { title: 'version', value: (attempt) => attempt.version ?? '', align: 'right' },
    { title: 'end', value: (attempt) => attempt.end },
    { title: 'what happened', value: (attempt) => clip(describeEnd(attempt)) },
  ]);
}

function standing(call: InvocationResource, nowMs: number): string {
  if (call.dead) return `${call.dead.reason}${call.dead.redrivenAs === undefined ? '' : ', redriven'}`;
  if (call.cancelled !== undefined) return clip(call.cancelled);
  if (call.result) return String(call.result.status);
  return call.nextAt !== undefined && Date.parse(call.nextAt) > nowMs ? `next at ${momentOf(call.nextAt, nowMs)}` : '';
}

function describeEnd(attempt: AttemptResource | undefined): string {
  if (!attempt) return '';
  const { status, errorCode, message } = attempt;
  // "it answered 503" has the status in it.
  const isSaid = status !== undefined && message?.endsWith(` ${status}`) === true;
  const what = errorCode ?? (status === undefined || isSaid ? '' : String(status));
  return escapeControls([what, message].filter((part) => part !== undefined && part !== '').join(': '));
}

function describeResult({ status, contentType, sizeBytes }: NonNullable<InvocationResource['result']>): string {
  const size = sizeBytes === undefined ? undefined : formatBytes(sizeBytes);
  return [String(status), size, contentType].filter((part) => part !== undefined).join(', ');
}

function tookOf({ startedAt, endedAt }: AttemptResource): string {
  const ms = Math.max(0, Date.parse(endedAt) - Date.parse(startedAt));
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function momentOf(at: string, nowMs: number): string {
  return formatMoment(Date.parse(at), nowMs);
}

function clip(text: string): string {
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}
