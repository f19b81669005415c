import { answersWithin } from '../engines/await-ready.ts';
import type { Target } from '../engines/engine.ts';
import {
  type AnswerHandler,
  type ConnectionKeeper,
  InstanceConnection,
  type InstanceRequest,
} from './instance-connection.ts';

/** Idle connections to a program whose own keep-alive time is unknown are closed after this; below every common default. */
const IMAGE_IDLE_MS = 4_000;
/** The managed runtime never closes idle connections by itself. */
const RUNTIME_IDLE_MS = 600_000;
/** A connection is given up this long before the instance said it would be. */
const SAFETY_MS = 1_000;
const READ_BUFFER_BYTES = 65_536;

/**
 * The connections to one instance. The one used last is used next, so that those beyond the need fall idle; there are
 * never more than requests at once.
 */
export class InstanceConnections implements ConnectionKeeper {
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  readonly #target: Target;
  readonly #idleMs: number;
  readonly #free: InstanceConnection[] = [];
  readonly #open = new Set<InstanceConnection>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(target: Target, managed: boolean) {
    this.#target = target;
    this.#idleMs = managed ? RUNTIME_IDLE_MS : IMAGE_IDLE_MS;
  }

  /** Sends a request over a free connection, or a new one. */
  send(request: InstanceRequest, handler: AnswerHandler): InstanceConnection {
    const connection = this.#reuse() ?? this.#connect();
    connection.send(request, handler);
    return connection;
  }

  free(connection: InstanceConnection, idleMs: number | undefined): void {
    const lasts = idleMs === undefined ? this.#idleMs : Math.min(idleMs - SAFETY_MS, RUNTIME_IDLE_MS);
    connection.freeUntilMs = performance.now() + lasts;
    this.#free.push(connection);
    this.#sweep ??= setTimeout(() => this.#closeIdle(), this.#idleMs).unref();
  }

  stale(): void {
    for (const connection of this.#free.splice(0)) connection.close();
  }

  gone(connection: InstanceConnection): void {
    this.#open.delete(connection);
    const index = this.#free.lastIndexOf(connection);
    if (index !== -1) this.#free.splice(index, 1);
  }

  /** Whether the instance answers a request for `path` within `ms`, over a connection of its own. Never throws. */
  answers(path: string, ms: number): Promise<boolean> {
    return answersWithin(this.#target, path, ms);
  }

  /** Closes every connection; requests under way fail. */
  closeAll(): void {
    clearTimeout(this.#sweep);
    for (const connection of this.#open) connection.close();
  }

  #reuse(): InstanceConnection | undefined {
    for (let found = this.#free.pop(); found; found = this.#free.pop()) {
      if (!found.isClosed && performance.now() < found.freeUntilMs) return found;
      found.close();
    }
    return undefined;
  }

  #connect(): InstanceConnection {
    const connection = new InstanceConnection(this.#target, this);
    this.#open.add(connection);
    return connection;
  }

  #closeIdle(): void {
    this.#sweep = undefined;
    const now = performance.now();
    for (const connection of this.#free) if (now >= connection.freeUntilMs) connection.close();
    if (this.#free.length > 0) this.#sweep = setTimeout(() => this.#closeIdle(), this.#idleMs).unref();
  }
}
