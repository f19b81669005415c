import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { versionNumberOf } from '../../core/version-number.ts';
import { formatFields } from '../../terminal/table.ts';
import { describeAliases } from '../../traffic/describe-alias.ts';

/** Shows one version. Exits 3 when there is none. */
export const describeVersionCommand = defineCommand({
  name: 'version describe',
  aliases: ['version get', 'version show'],
  summary: 'show one version of a function',
  args: [
    { name: 'function', summary: 'NAME or NAME.NAMESPACE' },
    { name: 'version', summary: 'its number' },
  ],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const number = versionNumberOf(parameters.required('version'), 'version');
    const { client } = await context.connect();
    const version = await client.versions.get(ref, number, { signal });
    const { spec } = version;
    output.result(version, () =>
      formatFields([
        ['Version', `${version.version} of ${ref.name}`],
        ['Description', version.description],
        ['Gets calls of', describeAliases(version) || 'no alias'],
        ['Made', formatAge(version.createdAt, Date.now())],
        ['Published', version.publishedAt && formatAge(version.publishedAt, Date.now())],
        ['Digest', version.digest],
        ['Runs', spec.image ?? spec.runtime],
        ['Code', version.code],
        ['Image digest', version.imageDigest],
        ['Handler', spec.handler],
        [
          'Limits',
          `${spec.memory} memory, ${spec.cpu} cpu, ${spec.concurrency} calls at once, timeout ${spec.timeout}`,
        ],
        ['Environment', Object.keys(spec.env).join(', ')],
        ['Secrets', spec.secrets.join(', ')],
      ]),
    );
  },
});
