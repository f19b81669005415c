import { type ColdStart, type StartReport, waitForStart } from '@ebb/contract';
import type { Version } from '../core/ports.ts';

/** Starts remembered of a function. */
const KEPT = 5;

/** An instance that has started. */
export interface Started {
  readonly version: Version;
  readonly instanceId: string;
  readonly start: StartReport;
  /** Calls that waited for it and were served at once. */
  readonly calls: number;
}

/**
 * The last starts of each function that calls waited for, over its versions and while it is at zero. A function
 * whose calls never waited costs nothing.
 */
export class StartHistory {
  readonly #starts = new Map<string, ColdStart[]>();

  /** Remembers a start, if calls waited for it; `atMs` in milliseconds since the Unix epoch. */
  add({ version, instanceId, start, calls }: Started, atMs: number): void {
    if (calls === 0) return;
    const key = keyOf(version.namespace, version.name);
    const starts = this.#starts.get(key) ?? [];
    this.#starts.set(key, starts);
    const { cause } = waitForStart(start);
    const at = new Date(atMs).toISOString();
    starts.unshift({ at, version: version.version, instance: instanceId, cause, calls, start });
    starts.splice(KEPT);
  }

  /** The last starts of a function, newest first. */
  of(namespace: string, name: string): readonly ColdStart[] {
    return this.#starts.get(keyOf(namespace, name)) ?? [];
  }

  /** Forgets a removed function. */
  forget(namespace: string, name: string): void {
    this.#starts.delete(keyOf(namespace, name));
  }
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
