import type { EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Version } from '../core/ports.ts';
import type { Slot } from '../pool/admission.ts';
import type { InvocationEvent } from '../telemetry/invocation-event.ts';

/** What the pools do for a request. */
export interface SlotSource {
  /** A slot if one is free now. Throws START_FAILED while starts keep failing. */
  tryAcquire(version: Version): Slot | undefined;
  /** A slot when one is free; see the pool's admission for the errors. */
  acquire(version: Version, signal: AbortSignal): Slot | Promise<Slot>;
  /** Whether the version has no instance yet, so that who waits now waits for a start. */
  isCold(version: Version): boolean;
}

/** What one exchange is handed by the gateway. */
export interface GatewayContext {
  readonly pools: SlotSource;
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
