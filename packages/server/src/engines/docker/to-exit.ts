import { constants } from 'node:os';
import type { InstanceExit } from '../engine.ts';

/** How a container ended: the engine gives 128 plus the number of the signal that killed its first process. */
export function toExit(code: number, outOfMemory: boolean): InstanceExit {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return { code, outOfMemory, ...(code > 128 && signal !== undefined ? { signal } : {}) };
}
