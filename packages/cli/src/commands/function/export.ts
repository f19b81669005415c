import { defineCommand } from '../../core/command.ts';
import { namespaceOf } from '../../core/function-ref.ts';

/** Prints what is deployed as an `ebb.yaml`, which `ebb apply` finds nothing to change in. */
export const exportCommand = defineCommand({
  name: 'function export',
  aliases: ['export'],
  summary: 'print the functions of a namespace as an ebb.yaml',
  args: [{ name: 'functions', summary: 'names of functions; default: all of the namespace', kind: 'many' }],
  examples: ['ebb export > ebb.yaml', 'ebb export resize ocr --namespace team-a'],
  async run(context) {
    const { parameters, output, signal } = context;
    const namespace = await namespaceOf(context);
    const names = parameters.list('functions');
    const { exportManifest } = await import('../../apply/export-manifest.ts');
    const { client } = await context.connect();
    const functions =
      names.length === 0
        ? await client.functions.list(namespace, { signal })
        : await Promise.all(names.map((name) => client.functions.get({ namespace, name }, { signal })));
    const coded = functions.filter(({ code }) => code !== undefined);
    if (coded.length > 0) {
      output.note(`code is not part of it: put that of ${coded.map(({ name }) => name).join(', ')} where "code" says`);
    }
    output.result({ namespace, functions }, () => exportManifest(namespace, functions).trimEnd());
  },
});
