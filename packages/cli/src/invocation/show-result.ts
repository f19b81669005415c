import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { InvocationResource } from '@ebb/contract';
import type { EbbClient } from '@ebb/sdk';
import { CliError, EXIT, QuietExit } from '../core/cli-error.ts';
import type { CommandContext } from '../core/command.ts';

const NOT_OK = 400;

/** What is waited for at most where nobody says how long: longer than any call may live. */
const FOREVER_MS = 366 * 86_400_000;

/**
 * Waits until a call has ended. Throws {@link QuietExit} with the code for "not in time" when it has not after `limitMs`,
 * having said so.
 */
export async function waitForCall(
  id: string,
  {
    client,
    context,
    limitMs = FOREVER_MS,
  }: { client: EbbClient; context: CommandContext; limitMs?: number | undefined },
): Promise<InvocationResource> {
  const { parameters, output, signal, startTask } = context;
  const task = await startTask(`waiting for ${id}`);
  try {
    const call = await client.invocations.wait(id, { limitMs, namespace: parameters.text('namespace'), signal });
    task.done();
    if (call.endedAt !== undefined) return call;
    if (output.mode.json) output.result(call, () => undefined);
    output.note(`the call is still ${call.state}; "ebb invocations show ${id}" says more`);
    throw new QuietExit(EXIT.unreachable);
  } catch (error) {
    task.failed();
    throw error;
  }
}

/** Prints the answer of a call that has ended, as `ebb invoke` prints one; exits with 1 unless it succeeded. */
export async function showResult(call: InvocationResource, client: EbbClient, context: CommandContext): Promise<void> {
  const { output, parameters, stdout, signal } = context;
  if (call.result) {
    const { body } = await client.invocations.result(call.id, { namespace: parameters.text('namespace'), signal });
    if (output.mode.json) {
      const { describeResponse } = await import('../invoke/describe-response.ts');
      const { body: text, bodyBase64 } = await describeResponse(body);
      output.result({ ...call, ...(text === undefined ? { bodyBase64 } : { body: text }) }, () => undefined);
    } else if (body.body) {
      await pipeline(Readable.fromWeb(body.body), stdout, { end: false, signal }).catch((error: unknown) => {
        signal.throwIfAborted();
        throw new CliError('UNREACHABLE', 'the answer was cut before its end; try again', { cause: error });
      });
      if (stdout.isTTY) stdout.write('\n');
    }
  } else if (output.mode.json) output.result(call, () => undefined);
  if (call.state === 'succeeded' && (call.result?.status ?? 0) < NOT_OK) return;
  output.note(`${output.style('red', 'error:')} ${describeFailure(call)}`);
  throw new QuietExit(EXIT.failed);
}

/** Why a call has no answer to be had, and where to look on. */
function describeFailure({ id, dead, cancelled, result }: InvocationResource): string {
  if (dead) {
    return `the call was given up (${dead.reason}): ${dead.message}; "ebb dead-letters show ${id}" shows every attempt`;
  }
  if (cancelled === undefined) return `the function answered ${result?.status ?? 'nothing'}`;
  const how = cancelled.startsWith('cancelled') ? cancelled : `cancelled: ${cancelled}`;
  return `the call was ${how}; "ebb invocations replay ${id}" makes it anew`;
}
