import type { AttemptEnd, AttemptResource, DeadReason } from '@ebb/contract';
import type { QueueRecord, Settlement } from '../store/queue.ts';
import { classifyOutcome, type Conclusion, type OutcomePolicy } from './classify-outcome.ts';
import { decideRetry } from './decide-retry.ts';
import type { Delivered } from './deliverer.ts';

/** What the platform's own faults are waited out with, whatever the function says of its own. */
const PLATFORM_WAIT = { minWaitMs: 1_000, maxWaitMs: 60_000 } as const;

/** What a call's policy says of how an attempt ends. */
export interface SettlementPolicy extends OutcomePolicy {
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
}

/** What is known when an attempt has ended. */
export interface Ended {
  readonly record: QueueRecord;
  /** Number of the attempt. */
  readonly attempt: number;
  readonly delivered: Delivered;
  readonly policy: SettlementPolicy;
  /** Why somebody cancelled the call, if they did. */
  readonly cancelled?: string | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** From 0 up to 1. */
  readonly random: number;
}

/** Says what becomes of a call after an attempt, and writes the attempt down. */
export function decideSettlement(ended: Ended): Pick<Settlement, 'attempt' | 'next'> {
  const { record, delivered, policy, cancelled } = ended;
  if (cancelled !== undefined) {
    return { attempt: attemptOf(ended, 'cancelled', cancelled), next: { kind: 'cancelled', message: cancelled } };
  }
  const conclusion = classifyOutcome(delivered, policy, record.failures);
  const attempt = attemptOf(ended, endOf(conclusion), delivered.message);
  return { attempt, next: nextOf(ended, conclusion) };
}

/** What becomes of a call that grew too old before an attempt of it began. */
export function settleExpired({ expiresAt, attempts }: QueueRecord): Settlement['next'] {
  return {
    kind: 'dead',
    reason: 'expired',
    message: `it was to begin before ${new Date(expiresAt).toISOString()}${lastOf(attempts.at(-1)?.message)}`,
    counts: false,
  };
}

function nextOf(ended: Ended, conclusion: Conclusion): Settlement['next'] {
  const { record, delivered, policy, now, random } = ended;
  const { result } = delivered;
  if (conclusion.kind === 'succeeded') return { kind: 'succeeded', result };
  if (conclusion.kind === 'dead') {
    return {
      kind: 'dead',
      reason: conclusion.reason,
      message: whyDead(ended, conclusion.reason),
      result,
      counts: conclusion.counts,
    };
  }
  const { counts } = conclusion;
  // What was stopped half-way goes on as soon as somebody can make it.
  if (delivered.verdict === 'aborted') return { kind: 'retry', at: now, counts };
  const decision = decideRetry({
    inVain: counts ? record.failures + 1 : platformFaultsInRow(record) + 1,
    ...waitOf(counts, delivered, policy),
    retryAfterMs: delivered.retryAfterMs,
    now,
    expiresAt: record.expiresAt,
    random,
  });
  if (decision.kind === 'at') return { kind: 'retry', at: decision.at, counts };
  const expired = settleExpired(record);
  return { ...expired, kind: 'dead', reason: 'expired', message: whyDead(ended, 'expired'), result, counts };
}

function waitOf(counts: boolean, { verdict }: Delivered, { minWaitMs, maxWaitMs }: SettlementPolicy) {
  if (counts) return { minWaitMs, maxWaitMs };
  // Who is asked to come later comes no sooner than the function itself would have it.
  const floorMs = verdict === 'answered' ? minWaitMs : 0;
  return { ...PLATFORM_WAIT, minWaitMs: Math.max(PLATFORM_WAIT.minWaitMs, floorMs) };
}

function whyDead({ record, attempt, delivered }: Ended, reason: DeadReason): string {
  const last = lastOf(delivered.message ?? statusText(delivered.status));
  switch (reason) {
    case 'attempts':
      return `${record.failures + 1} attempts failed${last}`;
    case 'status':
      return `attempt ${attempt} ended with a status that is not tried again${last}`;
    case 'expired':
      return `the next attempt would begin after ${new Date(record.expiresAt).toISOString()}${last}`;
    case 'gone':
    case 'refused':
      return delivered.message ?? 'it cannot be made';
  }
}

function lastOf(message: string | undefined): string {
  return message === undefined ? '' : `; the last: ${message}`;
}

function statusText(status: number | undefined): string | undefined {
  return status === undefined ? undefined : `status ${status}`;
}

function endOf(conclusion: Conclusion): AttemptEnd {
  if (conclusion.kind === 'succeeded') return 'succeeded';
  return conclusion.counts || (conclusion.kind === 'dead' && conclusion.reason !== 'gone') ? 'failed' : 'platform';
}

function attemptOf({ attempt, delivered }: Ended, end: AttemptEnd, message: string | undefined): AttemptResource {
  const { startedAt, endedAt, version, instance, status, errorCode } = delivered;
  return {
    number: attempt,
    startedAt: new Date(startedAt).toISOString(),
    endedAt: new Date(endedAt).toISOString(),
    end,
    ...(version === undefined ? {} : { version }),
    ...(instance === undefined ? {} : { instance }),
    ...(status === undefined ? {} : { status }),
    ...(errorCode === undefined ? {} : { errorCode }),
    ...(message === undefined ? {} : { message }),
  };
}

/** How many of the last attempts ended by the platform's fault. */
function platformFaultsInRow({ attempts }: QueueRecord): number {
  const other = attempts.findLastIndex(({ end }) => end !== 'platform');
  return attempts.length - 1 - other;
}
