import type { InvocationResource } from '@ebb/contract';
import type { Payload, QueueRecord, StoredResult, Target } from '../store/queue.ts';
import { contentTypeOf } from './accept.ts';

/** A call as the API shows it. One from a list comes without the bodies in its record, so their size is not known. */
export function showInvocation(record: QueueRecord, isListed = false): InvocationResource {
  const { id, namespace, rules, nextAt, endedAt, result, dead, cancelled, origin } = record;
  return {
    id,
    namespace,
    target: showTarget(record.target),
    state: record.state,
    method: record.method,
    path: record.path,
    priority: record.priority,
    ...(rules && { key: rules.key }),
    acceptedAt: moment(record.acceptedAt),
    ...(nextAt !== undefined && { nextAt: moment(nextAt) }),
    expiresAt: moment(record.expiresAt),
    ...(endedAt !== undefined && { endedAt: moment(endedAt) }),
    ...sizePart(record.body, isListed),
    attempts: [...record.attempts],
    ...(result && { result: showResult(id, result, isListed) }),
    ...(dead && { dead }),
    ...(cancelled !== undefined && { cancelled }),
    ...(origin && { origin: { kind: origin.kind, of: origin.of } }),
  };
}

/** What a call is for, as people read it; of an address only the host, since the rest may be a secret. */
function showTarget(target: Target): string {
  switch (target.kind) {
    case 'function':
      return target.name + target.qualifier;
    case 'url':
      return `url:${URL.canParse(target.url) ? new URL(target.url).host : ''}`;
    case 'queue':
      return `queue:${target.name}`;
  }
}

/** Bytes of a body. */
export function sizeOf(body: Payload): number {
  if (body.kind === 'none') return 0;
  return body.kind === 'bytes' ? body.bytes.length : body.sizeBytes;
}

function sizePart(body: Payload, isListed: boolean): { readonly sizeBytes?: number } {
  return isListed && body.kind !== 'file' ? {} : { sizeBytes: sizeOf(body) };
}

function showResult(
  id: string,
  { status, headers, body }: StoredResult,
  isListed: boolean,
): NonNullable<InvocationResource['result']> {
  const contentType = contentTypeOf(headers);
  return {
    status,
    ...(contentType !== undefined && { contentType }),
    ...sizePart(body, isListed),
    path: `/v1/invocations/${id}/result`,
  };
}

/** Beyond what a date can hold there is only its last moment. */
function moment(at: number): string {
  return new Date(Math.min(at, 8.64e15)).toISOString();
}
