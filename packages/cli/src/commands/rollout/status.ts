import { setTimeout as sleep } from 'node:timers/promises';
import type { RolloutEntry, RolloutResource } from '@ebb/contract';
import { EXIT, QuietExit } from '../../core/cli-error.ts';
import { type CommandContext, defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { formatEntry, formatRollout } from '../../rollout/format-rollout.ts';

const FOLLOW_EVERY_MS = 500;

/**
 * Shows the rollout that runs, or the last one, with its timeline. Exits 3 when there was none, and with `--follow` 1 when
 * the old version has the calls again at its end.
 */
export const rolloutStatusCommand = defineCommand({
  name: 'rollout status',
  summary: 'show how the rollout of a function stands and what was decided',
  args: [{ name: 'function', summary: 'NAME or NAME.NAMESPACE' }],
  options: [
    {
      flags: '-f, --follow',
      summary: 'go on showing what is decided until it is over; exits with 1 when the new version did not make it',
    },
  ],
  examples: ['ebb rollout status hello', 'ebb rollout status hello --follow'],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const { client } = await context.connect();
    const get = () => client.rollouts.get(ref, { signal });
    const rollout = await get();
    if (parameters.flag('follow')) await follow(rollout, get, context);
    else output.result(rollout, () => formatRollout(rollout));
  },
});

async function follow(first: RolloutResource, get: () => Promise<RolloutResource>, context: CommandContext) {
  const { output, signal } = context;
  const say = (entry: RolloutEntry) => output.resultLine(entry, () => formatEntry(entry));
  let shown = 0;
  let waitsFor = '';
  let rollout = first;
  try {
    for (;;) {
      if (rollout.id !== first.id) return;
      for (const entry of rollout.timeline.slice(shown)) say(entry);
      shown = rollout.timeline.length;
      if (rollout.endedAt !== undefined) {
        if (rollout.state === 'rolled-back' || rollout.state === 'aborted') throw new QuietExit(EXIT.failed);
        return;
      }
      // What only counts up or down is said once.
      const what = `${rollout.step} ${rollout.reason}`;
      if (what !== waitsFor && rollout.reason !== rollout.timeline.at(-1)?.reason) output.note(`  ${rollout.message}`);
      waitsFor = what;
      await sleep(FOLLOW_EVERY_MS, undefined, { signal });
      rollout = await get();
    }
  } catch (error) {
    // Ctrl-C is an ordinary way to end following.
    if (!signal.aborted) throw error;
  }
}
