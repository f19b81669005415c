import { Pool } from 'undici';
import type { Target } from '../engines/engine.ts';

/** Idle connections to a program whose own keep-alive time is unknown are closed after this; below every common default. */
const IMAGE_KEEP_ALIVE_MS = 4_000;
/** The managed runtime never closes idle connections by itself. */
const RUNTIME_KEEP_ALIVE_MS = 600_000;
/** Most header bytes an instance may answer with. */
const MAX_RESPONSE_HEADER_BYTES = 65_536;
const CONNECT_TIMEOUT_MS = 5_000;

/** A ready instance as requests see it: where it is, and how many it holds. */
export interface Endpoint {
  readonly instanceId: string;
  readonly target: Target;
  /** Open connections to the instance. */
  readonly connections: Pool;
  /** Requests it takes at once. */
  readonly capacity: number;
  inFlight: number;
  /** False while it is draining or suspected (G2). */
  accepting: boolean;
  failuresInRow: number;
  /** Monotonic milliseconds since when it holds no request. */
  idleSinceMs: number;
}

/** Opens the connections of an instance. They carry no timeouts of their own: the call's deadline stands above them. */
export function createEndpoint(options: {
  readonly instanceId: string;
  readonly target: Target;
  readonly managed: boolean;
  readonly capacity: number;
  readonly nowMs: number;
}): Endpoint {
  const { target } = options;
  const origin = target.kind === 'unix' ? 'http://instance' : `http://${target.host}:${target.port}`;
  const connections = new Pool(origin, {
    connect: { timeout: CONNECT_TIMEOUT_MS, ...(target.kind === 'unix' ? { socketPath: target.path } : {}) },
    headersTimeout: 0,
    bodyTimeout: 0,
    pipelining: 1,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    keepAliveTimeout: options.managed ? RUNTIME_KEEP_ALIVE_MS : IMAGE_KEEP_ALIVE_MS,
    keepAliveMaxTimeout: RUNTIME_KEEP_ALIVE_MS,
  });
  return {
    instanceId: options.instanceId,
    target,
    connections,
    capacity: options.capacity,
    inFlight: 0,
    accepting: true,
    failuresInRow: 0,
    idleSinceMs: options.nowMs,
  };
}
