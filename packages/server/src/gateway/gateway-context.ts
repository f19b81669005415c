import type { WaitReport } from '@ebb/contract';
import type { EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import type { SlotFailure, Standing } from '../pool/admission.ts';
import type { Ending } from '../pool/ending.ts';
import type { Endpoint } from '../pool/endpoint.ts';
import type { BodyTap } from '../pool/request-pump.ts';
import type { Caller } from './caller.ts';
import type { Decimals } from './decimals.ts';
import type { Pieces } from './pieces.ts';
import type { InvocationEvent } from '../telemetry/invocation-event.ts';
import type { Route } from './route.ts';

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
  /** A slot when one is free; see the pool's admission for the errors and for `standing`. */
  acquire(version: Version, signal: AbortSignal, standing?: Standing): HeldSlot | Promise<HeldSlot>;
  /** Whether the version has no instance yet, so that who waits now waits for a start. */
  isCold(version: Version): boolean;
}

/** A call that a shadow version is to get a copy of. */
export interface MirroredCall {
  readonly caller: Pick<Caller, 'method' | 'rawHeaders' | 'remoteAddress' | 'stripAuthorization' | 'body'>;
  /** Where the call itself goes. */
  readonly route: Route;
  readonly shadow: Route;
  /** What the function sees as its target. */
  readonly path: string;
  readonly callId: string;
}

/** Has a copy of one call sent, and watches the answer to the call. Nothing here waits, throws or fails the call. */
export interface Mirror extends BodyTap {
  /** The request is on its way to its instance. */
  sent(): void;
  /** A piece of the answer's body, or all of it as one character a byte. */
  saw(part: Buffer | string): void;
  /** The call has ended; `isWhole` if the caller got an answer of its function, all of it. */
  ended(status: number, isWhole: boolean, durationMs: number): void;
}

/** Sends copies of calls to shadow versions. */
export interface Mirrors {
  open(call: MirroredCall): Mirror;
  /** Gives up the copies that are under way: nobody waits for them when a gateway ends. */
  close(): void;
}

/** What one exchange is handed by the gateway. */
export interface GatewayContext {
  readonly pools: SlotSource;
  /** Sends copies of calls to shadow versions. */
  readonly mirrors: Mirrors;
  /** Where pieces of answers are kept until the caller has taken them. */
  readonly pieces: Pieces;
  /** Moments as they are written into headers. */
  readonly startTimes: Decimals;
  readonly deadlines: Decimals;
  /** For defects of the platform alone; what callers and functions do wrong is in the events. */
  readonly logger: Pick<Logger, 'error'>;
  /** The error a caller is told for whatever was thrown; a defect is logged under the call's id. */
  expected(error: unknown, callId: string): EbbError;
  /** Takes the event of a call; never throws and never waits. */
  record(event: InvocationEvent): void;
  /** Counts requests that run, for the drain, and those from outside. */
  opened(by?: 'outside' | 'platform'): void;
  closed(): void;
}
