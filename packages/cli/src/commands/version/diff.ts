import type { FieldChange, FileChanges, VersionDiff } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { versionNumberOf } from '../../core/version-number.ts';
import { formatTable } from '../../terminal/table.ts';

/** Compares two versions of a function. */
export const diffVersionsCommand = defineCommand({
  name: 'version diff',
  summary: 'show what differs between two versions: fields of the spec, files, image',
  args: [
    { name: 'function', summary: 'NAME or NAME.NAMESPACE' },
    { name: 'from', summary: 'number of the one version' },
    { name: 'to', summary: 'number of the other; default: the live one', kind: 'optional' },
  ],
  examples: ['ebb version diff hello 7 8', 'ebb version diff hello 7'],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const from = versionNumberOf(parameters.required('from'), 'from');
    const given = parameters.text('to');
    const to = given === undefined ? undefined : versionNumberOf(given, 'to');
    const { client } = await context.connect();
    const diff = await client.versions.diff(ref, from, { to, signal });
    const parts = partsOf(diff);
    if (parts.length === 0) output.note(`versions ${diff.from} and ${diff.to} of ${ref.name} are the same`);
    output.result(diff, () => (parts.length === 0 ? undefined : parts.join('\n\n')));
  },
});

function partsOf({ from, to, fields, files, imageDigest }: VersionDiff): string[] {
  const changes = [...fields];
  if (imageDigest) changes.push({ field: 'image digest', ...imageDigest });
  const table = formatTable(changes, [
    { title: 'field', value: ({ field }) => field },
    { title: `version ${from}`, value: (change) => show(change, change.before) },
    { title: `version ${to}`, value: (change) => show(change, change.after) },
  ]);
  const lines = files ? linesOf(files) : [];
  return [...(changes.length === 0 ? [] : [table]), ...(lines.length === 0 ? [] : [lines.join('\n')])];
}

/** A value for people. Those of the environment are shown nowhere but in JSON, as by `ebb describe`. */
function show({ field, before, after }: FieldChange, value: unknown): string {
  if (value === undefined) return '-';
  if (field.startsWith('env.'))
    return before === undefined || after === undefined ? 'set' : value === before ? 'old' : 'new';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function linesOf({ added, removed, changed, omitted }: FileChanges): string[] {
  return [
    ...changed.map((path) => `changed  ${path}`),
    ...added.map((path) => `added    ${path}`),
    ...removed.map((path) => `removed  ${path}`),
    ...(omitted === 0 ? [] : [`and ${omitted} more files`]),
  ];
}
