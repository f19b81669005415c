import { type CommandDefinition, defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';

/** Keeps the weights as they are. */
export const pauseRolloutCommand = changeCommand(
  'pause',
  'keep the weights; a worse version is taken back all the same',
);
/** Lets a paused rollout go on. */
export const resumeRolloutCommand = changeCommand('resume', 'let a paused rollout go on');
/** Gives the new version all calls now. */
export const promoteRolloutCommand = changeCommand('promote', 'give the new version all calls now');
/** Gives the old version all calls now. */
export const abortRolloutCommand = changeCommand('abort', 'give the old version all calls now');

function changeCommand(verb: 'pause' | 'resume' | 'promote' | 'abort', summary: string): CommandDefinition {
  return defineCommand({
    name: `rollout ${verb}`,
    summary,
    args: [{ name: 'function', summary: 'NAME or NAME.NAMESPACE' }],
    async run(context) {
      const ref = await functionRefOf(context, context.parameters.required('function'));
      const { client } = await context.connect();
      const rollout = await client.rollouts.change(ref, verb, { signal: context.signal });
      const { state, weight, from, to } = rollout;
      context.output.result(
        rollout,
        () =>
          `${ref.name} is ${state}: version ${to} gets ${weight} %, version ${from} ${Number((100 - weight).toFixed(2))} %`,
      );
    },
  });
}
