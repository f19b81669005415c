import type { MeasuredEbb } from '../start-ebb.ts';

const BATCH = 10_000;

/** Has the server accept calls of a function in batches, all of them to begin at one moment. */
export async function submitMany(ebb: MeasuredEbb, name: string, count: number, runAt: Date): Promise<void> {
  for (let left = count; left > 0; left -= BATCH) {
    const calls = Array.from({ length: Math.min(left, BATCH) }, (_, i) => ({
      function: name,
      body: `call ${left - i} of a large number`,
      runAt: runAt.toISOString(),
    }));
    const response = await fetch(`${ebb.url}/v1/invocations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ebb.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ calls }),
    });
    if (response.status !== 202) throw new Error(await response.text());
    await response.arrayBuffer();
  }
}

/** What the function `stamp` says: when it was called, in milliseconds of the host's monotonic clock, and how often. */
export function readStamp(text: string): { readonly atMs: number; readonly calls: number } {
  const [at = '0', calls] = text.split(' ');
  return { atMs: Number(BigInt(at) / 1000n) / 1000, calls: Number(calls) };
}

/** How many calls `stamp` has had, when asked. */
export async function countCalls(ebb: MeasuredEbb, name: string): Promise<number> {
  const response = await fetch(`${ebb.url}/function/${name}/count`);
  return readStamp(await response.text()).calls;
}
