import { QuietExit } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';

/** Shows what `ebb apply` would change, and changes nothing. */
export const diffCommand = defineCommand({
  name: 'function diff',
  aliases: ['diff'],
  summary: 'show what "ebb apply" would change',
  options: [
    { flags: '-f, --file <file>', summary: 'another file than ./ebb.yaml' },
    { flags: '--prune', summary: 'also name functions that "ebb apply --prune" would remove' },
    { flags: '--exit-code', summary: 'exit with 1 when something differs' },
  ],
  examples: ['ebb diff', 'ebb diff --exit-code || ebb apply'],
  async run(context) {
    const { parameters, output } = context;
    const [{ makePlan }, { describePlan, planValue }, { createUploadMemory }] = await Promise.all([
      import('../../apply/make-plan.ts'),
      import('../../apply/describe-plan.ts'),
      import('../../deploy/deploy-target.ts'),
    ]);
    const { client } = await context.connect();
    const plan = await makePlan(context, client, {
      memory: createUploadMemory(),
      prune: parameters.flag('prune'),
    });
    const { newNamespaces, changes } = plan;
    output.result({ newNamespaces, changes: planValue(changes) }, () => describePlan(plan, output));
    const differs = newNamespaces.length > 0 || changes.some(({ action }) => action !== 'unchanged');
    if (differs && parameters.flag('exitCode')) throw new QuietExit(1);
  },
});
