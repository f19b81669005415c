import type { InstanceResource } from '@ebb/contract';
import { NAMESPACE, type MeasuredEbb } from './start-ebb.ts';

const GIVE_UP_MS = 60_000;

/** Waits some milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until the instances of a function are as asked for; throws after a minute. */
async function untilInstances(
  ebb: MeasuredEbb,
  name: string,
  isReached: (instances: readonly InstanceResource[]) => boolean,
): Promise<void> {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  while (!isReached(await ebb.client.functions.instances({ namespace: NAMESPACE, name }))) {
    if (performance.now() > giveUpAt) throw new Error(`the instances of ${name} did not become what was waited for`);
    await sleep(20);
  }
}

/** Waits until a function has no instance. */
export function untilZero(ebb: MeasuredEbb, name: string): Promise<void> {
  return untilInstances(ebb, name, (instances) => instances.length === 0);
}

/** Waits until so many instances of a function are there, all of them frozen. */
export function untilFrozen(ebb: MeasuredEbb, name: string, count: number): Promise<void> {
  return untilInstances(
    ebb,
    name,
    (instances) => instances.length === count && instances.every(({ state }) => state === 'frozen'),
  );
}
