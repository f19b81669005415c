import type { ColdCall } from './results.ts';
import { NAMESPACE, type MeasuredEbb } from './start-ebb.ts';

/** Calls a URL and says how long it took until the whole answer was there; throws unless it is a good one. */
export async function timedCall(url: string): Promise<number> {
  const startedMs = performance.now();
  const response = await fetch(url);
  await response.arrayBuffer();
  const tookMs = performance.now() - startedMs;
  if (!response.ok) throw new Error(`a call of ${url} was answered ${response.status}`);
  return tookMs;
}

/** Calls a function that has no instance, and asks afterwards how the one that answered was started. */
export async function coldCall(ebb: MeasuredEbb, name: string): Promise<ColdCall> {
  const totalMs = await timedCall(`${ebb.url}/function/${name}`);
  const [instance] = await ebb.client.functions.instances({ namespace: NAMESPACE, name });
  return { totalMs, start: instance?.start };
}
