import type { CommandContext } from '../core/command.ts';
import { type DeployOptions, deployTarget } from '../deploy/deploy-target.ts';
import { describeDeployed, describeEnded } from '../deploy/describe-deployed.ts';
import type { Plan } from './make-plan.ts';

/**
 * Does all that is planned; returns the names of the functions where that failed. A failure is told of and keeps none of the
 * others back.
 */
export async function carryOut(
  context: CommandContext,
  { changes, targets }: Plan,
  deploying: Pick<DeployOptions, 'client' | 'memory' | 'install' | 'probe'>,
): Promise<readonly string[]> {
  const { output, signal, startTask, env, cwd } = context;
  const options = {
    ...deploying,
    startTask,
    signal,
    env,
    cwd,
    serve: true,
  };
  const change = async ({ action, ref }: Plan['changes'][number]): Promise<void> => {
    const target = targets.find((one) => one.ref.name === ref.name && one.ref.namespace === ref.namespace);
    // What is unchanged is deployed where only the server knows: the image behind a tag may be another one by now.
    if (target && (action !== 'unchanged' || target.spec.image !== undefined)) {
      const { resource, tookMs } = await deployTarget(target, options);
      if (resource.change === 'unchanged' && !resource.rollout) return;
      output.note(`${describeDeployed(resource)} in ${Math.round(tookMs)} ms`);
      if (resource.rollout) output.note(`  ebb rollout status ${ref.name} --follow`);
      const ended = describeEnded(resource);
      if (ended !== undefined) output.note(ended);
    } else if (action === 'remove') {
      await deploying.client.functions.remove(ref, { signal });
      output.note(`${ref.name} removed`);
    }
  };
  const failed: string[] = [];
  for (const planned of changes) {
    try {
      await change(planned);
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof Error) error.message = `${planned.ref.name}: ${error.message}`;
      context.report(error);
      failed.push(planned.ref.name);
    }
  }
  return failed;
}
