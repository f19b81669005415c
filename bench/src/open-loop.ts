import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { LoadStep } from './results.ts';

/** What an open-loop load is. */
export interface OpenLoopOptions {
  readonly url: string;
  /** Requests a second, evenly spaced. */
  readonly rate: number;
  readonly seconds: number;
  /** Requests that are due while all of them are busy wait for one. */
  readonly connections: number;
}

/**
 * Has requests come due at a fixed rate, whatever the answers do, from a process of its own. Latency counts from the
 * moment a request was due, so that a server that stalls cannot slow the measurement of its own stall down (no
 * coordinated omission). The first half second is not counted.
 */
export async function openLoop(options: OpenLoopOptions): Promise<LoadStep> {
  const child = fork(new URL('./open-loop-child.ts', import.meta.url));
  child.send(options);
  const [step] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the load generator ended with code ${String(code)}`);
    }),
  ])) as [LoadStep];
  child.disconnect();
  return step;
}
