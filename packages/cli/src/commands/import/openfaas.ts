import { EXIT, QuietExit } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';

/**
 * Brings functions over from a gateway that speaks the API of OpenFaaS, or from a `stack.yaml`: onto the server, or into a
 * file. What differs is said function by function. Nothing is changed at the gateway.
 */
export const importOpenFaasCommand = defineCommand({
  name: 'import openfaas',
  summary: 'bring functions over from an OpenFaaS gateway or a stack.yaml',
  options: [
    { flags: '--gateway <url>', summary: 'take all that a running gateway has' },
    { flags: '-f, --file <file>', summary: 'take what a stack.yaml says; a file or an address' },
    { flags: '--username <name>', summary: 'user of the gateway (default admin)' },
    { flags: '--password-stdin', summary: 'read the password from standard input; default: the saved login' },
    { flags: '--secret <pair>', summary: 'value of a secret as NAME=FILE or NAMESPACE/NAME=FILE', repeats: true },
    { flags: '--build', summary: 'build images of functions with code and a template first, with docker' },
    { flags: '--out <file>', summary: 'write an ebb.yaml instead of changing the server' },
    { flags: '--dry-run', summary: 'only say what would come over' },
    { flags: '--no-probe', summary: 'do not wait for a first instance of each function' },
  ],
  examples: [
    'ebb import openfaas --gateway http://10.0.0.5:8080 --dry-run',
    'ebb import openfaas -f stack.yaml --secret api-key=./api-key.txt',
    'printf %s "$PASSWORD" | ebb import openfaas --gateway https://faas.example.com --password-stdin --out ebb.yaml',
  ],
  async run(context) {
    const { runImport } = await import('../../openfaas/run-import.ts');
    const { failed } = await runImport(context);
    if (failed.length === 0) return;
    const { output, parameters } = context;
    if (parameters.flag('dryRun')) output.note(`would not come over: ${failed.join(', ')}`);
    else output.note(`not brought over: ${failed.join(', ')}; all else is. The same command again does what is left`);
    throw new QuietExit(EXIT.failed);
  },
});
