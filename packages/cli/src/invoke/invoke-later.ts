import type { FunctionName } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import type { CommandContext } from '../core/command.ts';
import { showResult, waitForCall } from '../invocation/show-result.ts';

/** Hands a call in to be made later and prints its id, or with `--wait` its answer once it has ended. */
export async function invokeLater(
  ref: FunctionName,
  call: Parameters<EbbClient['invocations']['send']>[1],
  context: CommandContext,
  client: EbbClient,
): Promise<void> {
  const { parameters, output } = context;
  const submitted = await client.invocations.send(ref, call);
  if (parameters.flag('wait')) {
    await showResult(await waitForCall(submitted.id, { client, context }), client, context);
    return;
  }
  output.result(submitted, () => submitted.id);
  if (submitted.duplicate) output.note('accepted before: the same idempotency key and body');
  else if (output.isTerminal) output.note(`accepted; "ebb invocations wait ${submitted.id}" waits for the answer`);
}
