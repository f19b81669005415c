import { EXIT, QuietExit } from '../../core/cli-error.ts';
import type { CommandContext } from '../../core/command.ts';
import { defineCommand } from '../../core/command.ts';
import type { Plan } from '../../apply/make-plan.ts';
import type { DeployOptions } from '../../deploy/deploy-target.ts';
import { describeDeployed, describeEnded } from '../../deploy/describe-deployed.ts';

/**
 * Makes a server match an `ebb.yaml`: shows what differs, then deploys it. Doing it twice changes nothing. A function that
 * fails is told of and keeps none of the others back; the command then exits with 1.
 */
export const applyCommand = defineCommand({
  name: 'function apply',
  aliases: ['apply'],
  summary: 'make the server match ebb.yaml, and say what changes',
  options: [
    { flags: '-f, --file <file>', summary: 'another file than ./ebb.yaml' },
    { flags: '--prune', summary: 'remove functions of the same namespaces that the file does not name' },
    { flags: '--dry-run', summary: 'only say what would change' },
    { flags: '--no-install', summary: 'do not install missing dependencies with npm' },
    { flags: '--no-probe', summary: 'do not wait for a first instance before a version serves' },
  ],
  examples: ['ebb apply', 'ebb apply -f shop/ebb.yaml --dry-run', 'ebb apply --prune'],
  async run(context) {
    const { parameters, output, signal } = context;
    const [{ makePlan }, { describePlan, planValue }, { createUploadMemory }] = await Promise.all([
      import('../../apply/make-plan.ts'),
      import('../../apply/describe-plan.ts'),
      import('../../deploy/deploy-target.ts'),
    ]);
    const { client } = await context.connect();
    const memory = createUploadMemory();
    const plan = await makePlan(context, client, { memory, prune: parameters.flag('prune') });
    const isDryRun = parameters.flag('dryRun');
    let failed: readonly string[] = [];
    if (!output.mode.json) {
      output.result(undefined, () => describePlan(plan, output));
    }
    if (!isDryRun) {
      for (const namespace of plan.newNamespaces) await client.namespaces.create(namespace, { signal });
      failed = await carryOut(context, plan, { client, memory });
    }
    if (output.mode.json) {
      const { newNamespaces, changes } = plan;
      output.result({ applied: !isDryRun, newNamespaces, changes: planValue(changes), failed }, () => undefined);
    }
    if (failed.length > 0) {
      output.note(`not done: ${failed.join(', ')}; all else is. "ebb apply" again does what is left`);
      throw new QuietExit(EXIT.failed);
    }
  },
});

/** Does all that is planned; returns the names of the functions where that failed. */
async function carryOut(
  context: CommandContext,
  { changes, targets }: Plan,
  deploying: Pick<DeployOptions, 'client' | 'memory'>,
): Promise<readonly string[]> {
  const { parameters, output, signal, startTask, env, cwd } = context;
  const { deployTarget } = await import('../../deploy/deploy-target.ts');
  const options = {
    ...deploying,
    startTask,
    signal,
    env,
    cwd,
    install: parameters.flag('install'),
    probe: parameters.flag('probe'),
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
