import type { FunctionName, RolloutResource } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';

/** The rollout of a function that runs, or the last one; undefined when there was none. Throws what the client throws. */
export async function findRollout(
  client: EbbClient,
  { namespace, name }: FunctionName,
  signal: AbortSignal,
): Promise<RolloutResource | undefined> {
  return (await client.rollouts.list({ namespace, name }, { signal }))[0];
}
