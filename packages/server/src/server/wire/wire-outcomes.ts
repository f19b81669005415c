import type { Acceptance } from '../../async/accept.ts';
import { createCaptures } from '../../async/captures.ts';
import { createDeadLetters } from '../../async/dead-letters.ts';
import { createUrlDeliverer } from '../../async/deliver-url.ts';
import type { Deliverer } from '../../async/deliverer.ts';
import type { Egress } from '../../async/egress/egress.ts';
import { createOutcomeQueues } from '../../async/outcome-queues.ts';
import type { PayloadFiles } from '../../async/payload-files.ts';
import type { Clock } from '../../core/clock.ts';
import type { Captures, DeadLetters, FunctionRegistry, OutcomeQueues, SigningKeys } from '../../core/ports.ts';
import type { Queue } from '../../store/queue.ts';

/** What {@link wireOutcomes} joins. */
export interface WireOutcomesOptions {
  readonly queue: Queue;
  readonly registry: FunctionRegistry;
  readonly acceptance: Pick<Acceptance, 'enqueueKept'>;
  readonly files: Pick<PayloadFiles, 'open' | 'renew'>;
  readonly egress: Egress;
  readonly signingKeys: SigningKeys;
  readonly clock: Clock;
  /** Names this run of the server in leases. */
  readonly owner: string;
}

/** What becomes of calls after they have ended. */
export interface Outcomes {
  readonly urlDeliverer: Deliverer;
  readonly deadLetters: DeadLetters;
  readonly queues: OutcomeQueues;
  readonly captures: Captures;
  /** Throws DESTINATION_REFUSED for an address that outcomes must not be posted to. */
  readonly checkDestination: (url: string) => void;
}

/** Joins what sends outcomes out and lets people look after them. */
export function wireOutcomes(options: WireOutcomesOptions): Outcomes {
  return {
    urlDeliverer: createUrlDeliverer(options),
    deadLetters: createDeadLetters(options),
    queues: createOutcomeQueues(options),
    captures: createCaptures(options),
    checkDestination: (url) => options.egress.check(url),
  };
}
