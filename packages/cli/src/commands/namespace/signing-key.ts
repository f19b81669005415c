import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { checkName, namespaceOf } from '../../core/function-ref.ts';

/** Shows the key that a namespace signs its posts with, or makes a new one. */
export const signingKeyCommand = defineCommand({
  name: 'namespace signing-key',
  summary: 'show the key that outcomes posted to addresses are signed with, or make a new one',
  args: [
    { name: 'action', summary: 'show, or rotate' },
    { name: 'name', summary: 'name of the namespace (default: that of --namespace)', kind: 'optional' },
  ],
  examples: ['ebb namespace signing-key show', 'ebb namespace signing-key rotate team-a'],
  async run(context) {
    const { parameters, output, signal } = context;
    const action = parameters.required('action');
    if (action !== 'show' && action !== 'rotate') {
      throw new CliError('USAGE', `"action" is "${action}" but must be show or rotate`);
    }
    const given = parameters.text('name');
    const namespace = given === undefined ? await namespaceOf(context) : await checkName(given, 'name');
    const { client } = await context.connect();
    const key = await client.signingKeys[action === 'show' ? 'get' : 'rotate'](namespace, { signal });
    output.result(key, () => key.key);
    if (key.previous) output.note(`until ${key.previous.until} everything is signed with the key before as well`);
  },
});
