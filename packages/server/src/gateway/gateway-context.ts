import type { WaitReport } from '@ebb/contract';
import type { EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import type { SlotFailure } from '../pool/admission.ts';
import type { Ending } from '../pool/ending.ts';
import type { Endpoint } from '../pool/endpoint.ts';
import type { Pieces } from './pieces.ts';
import type { InvocationEvent } from '../telemetry/invocation-event.ts';

/** The right to send one request to one instance (G1), as whoever holds it sees it. */
export interface HeldSlot {
  readonly endpoint: Pick<Endpoint, 'instanceId' | 'target' | 'connections'>;
  /** What the request waited for; absent when the slot was free. */
  readonly wait?: WaitReport | undefined;
  /** Gives the slot back after the last byte, or when nobody wants the answer any more; a second time does nothing. */
  release(went?: 'well' | 'unknown'): void;
  /** Gives the slot back and says that the instance failed. */
  fail(kind: SlotFailure): void;
  /** What became of the instance that let the request down; asked before {@link fail}. */
  ending?(callId: string): Promise<Ending | undefined>;
}

/** What the pools do for a request. */
export interface SlotSource {
  /** A slot if one is free now. Throws START_FAILED while starts keep failing. */
  tryAcquire(version: Version): HeldSlot | undefined;
  /** A slot when one is free; see the pool's admission for the errors. */
  acquire(version: Version, signal: AbortSignal): HeldSlot | Promise<HeldSlot>;
  /** Whether the version has no instance yet, so that who waits now waits for a start. */
  isCold(version: Version): boolean;
}

/** What one exchange is handed by the gateway. */
export interface GatewayContext {
  readonly pools: SlotSource;
  /** Where pieces of answers are kept until the caller has taken them. */
  readonly pieces: Pieces;
  /** For defects of the platform alone; what callers and functions do wrong is in the events. */
  readonly logger: Pick<Logger, 'error'>;
  /** The error a caller is told for whatever was thrown; a defect is logged under the call's id. */
  expected(error: unknown, callId: string): EbbError;
  /** Takes the event of a call; never throws and never waits. */
  record(event: InvocationEvent): void;
  /** Counts requests that run, for the drain. */
  opened(): void;
  closed(): void;
}
