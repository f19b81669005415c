import { EXIT, QuietExit } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';

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
      const { carryOut } = await import('../../apply/carry-out.ts');
      const { install, probe } = { install: parameters.flag('install'), probe: parameters.flag('probe') };
      failed = await carryOut(context, plan, { client, memory, install, probe });
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
