import type { VersionKey, WaitReport } from '@ebb/contract';
import type { HeldSlot } from '../gateway/gateway-context.ts';
import type { Fifo } from '../pool/fifo.ts';
import type { InstanceConnections } from '../pool/instance-connections.ts';
import type { Waiter } from '../pool/wait-in-line.ts';
import type { SlotMessage } from './messages.ts';

/** A slot this gateway has for one call after another. */
export interface Lease {
  readonly id: number;
  readonly place: Place;
  readonly grantedMs: number;
  isRecalled: boolean;
  idleMs: number;
}

/** An instance this gateway has or had leases of. */
export interface Place {
  readonly instanceId: string;
  readonly connections: InstanceConnections;
  readonly target: Extract<SlotMessage, { readonly kind: 'grant' }>['target'];
  readonly desk: Desk;
  readonly leases: Set<Lease>;
  readonly idle: Lease[];
  unusedMs: number;
  isHealed: boolean;
  isDropped: boolean;
  /** What the last call that waited for the instance itself had waited for, and the number of its grant. */
  wait: WaitReport | undefined;
  waitedAt: number;
}

/** What there is of one version. */
export interface Desk {
  readonly key: VersionKey;
  readonly places: Map<string, Place>;
  readonly waiters: Fifo<Waiter<HeldSlot>>;
  /** Slots that were asked for and not answered. */
  asked: number;
  /** Of those, the ones asked to be taken back. */
  withdrawing: number;
  /** Grants of instances that calls waited for. */
  waited: number;
  /** Calls that began under a lease that was there already, since the last `LeasedSlots.takeReused`. */
  reused: number;
}
