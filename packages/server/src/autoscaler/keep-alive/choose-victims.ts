import type { EvictionAge, IdleInstance, KeepAlivePolicy } from './keep-alive-policy.ts';

/** What has to be freed. */
export interface Lacking {
  readonly instances: number;
  readonly bytes: number;
}

/**
 * The idle instances that make room: the least valuable first, as few as are enough, all of `idle` if they are not.
 * `age` is the host's age after them.
 */
export function chooseVictims<T extends IdleInstance>(
  idle: readonly T[],
  lacking: Lacking,
  policy: KeepAlivePolicy,
): { readonly victims: readonly T[]; readonly age: EvictionAge } {
  const byValue = idle
    .map((instance) => ({ instance, value: policy.value(instance) }))
    .sort((a, b) => a.value - b.value);
  const victims: T[] = [];
  let bytes = 0;
  let age = 0;
  for (const { instance, value } of byValue) {
    if (victims.length >= lacking.instances && bytes >= lacking.bytes) break;
    victims.push(instance);
    bytes += instance.facts.memoryBytes;
    age = Math.max(age, value);
  }
  return { victims, age };
}
