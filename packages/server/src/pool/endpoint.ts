import type { WaitReport } from '@ebb/contract';
import type { Target } from '../engines/engine.ts';
import { InstanceConnections } from './instance-connections.ts';

/** A ready instance as requests see it: where it is, and how many it holds. */
export interface Endpoint {
  readonly instanceId: string;
  readonly target: Target;
  readonly connections: InstanceConnections;
  /** Requests it takes at once. */
  readonly capacity: number;
  inFlight: number;
  /** False while it is draining or suspected (G2). */
  accepting: boolean;
  failuresInRow: number;
  /** Whether a request to it has gone well. */
  hasServed: boolean;
  /** What those who were in line waited for when it last began to take requests. */
  came: WaitReport | undefined;
  /** Number of that moment, among all such moments of its admission. */
  cameAt: number;
  /** Monotonic milliseconds since when it holds no request. */
  idleSinceMs: number;
}

/** The endpoint of an instance that has just become ready. */
export function createEndpoint(options: {
  readonly instanceId: string;
  readonly target: Target;
  readonly managed: boolean;
  readonly capacity: number;
  readonly nowMs: number;
}): Endpoint {
  const { target } = options;
  return {
    instanceId: options.instanceId,
    target,
    connections: new InstanceConnections(target, options.managed),
    capacity: options.capacity,
    inFlight: 0,
    accepting: true,
    failuresInRow: 0,
    hasServed: false,
    came: undefined,
    cameAt: 0,
    idleSinceMs: options.nowMs,
  };
}
