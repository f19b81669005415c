import type { NamespaceLimits } from '@ebb/contract';
import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { checkName } from '../../core/function-ref.ts';
import type { Parameters } from '../../core/parameters.ts';
import { describeLimits } from './describe-limits.ts';

/** What takes a limit away. */
const NONE = 'none';

/** Shows what a namespace may use, or changes it. */
export const limitNamespaceCommand = defineCommand({
  name: 'namespace limits',
  summary: 'show or change what a namespace may use',
  args: [{ name: 'name', summary: 'name of the namespace' }],
  options: [
    { flags: '--concurrency <count>', summary: 'most calls at once of all its functions, or none' },
    { flags: '--rate <rate>', summary: 'most calls in a time, such as 100/s, or none' },
    { flags: '--burst <count>', summary: 'calls that may come at once within the rate, or none' },
    { flags: '--reserved <percent>', summary: 'part of the host that others cannot use, or none' },
  ],
  examples: ['ebb namespace limits team-a --concurrency 50 --rate 100/s', 'ebb namespace limits team-a --rate none'],
  async run({ parameters, output, connect, signal }) {
    const name = await checkName(parameters.required('name'), 'name');
    const changes = readChanges(parameters);
    const { client } = await connect();
    const found = await client.namespaces.get(name, { signal });
    const isChange = Object.keys(changes).length > 0;
    const namespace = isChange
      ? await client.namespaces.setLimits(name, merge(found.limits, changes), { signal })
      : found;
    output.result(
      namespace,
      () => `${isChange ? 'limited ' : ''}namespace ${name}: ${describeLimits(namespace.limits)}`,
    );
  },
});

type Changes = { readonly [K in keyof NamespaceLimits]?: NamespaceLimits[K] | typeof NONE };

/** What was asked for; the server checks the rest. */
function readChanges(parameters: Parameters): Changes {
  const count = (option: string) => (parameters.text(option) === NONE ? NONE : parameters.count(option, 1));
  const concurrency = count('concurrency');
  const burst = count('burst');
  const rate = parameters.text('rate');
  const reserved = readPercent(parameters.text('reserved'));
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(rate === undefined ? {} : { rate }),
    ...(burst === undefined ? {} : { burst }),
    ...(reserved === undefined ? {} : { reserved }),
  };
}

function readPercent(text: string | undefined): number | typeof NONE | undefined {
  if (text === undefined || text === NONE) return text;
  const percent = Number(text.replace(/%$/, ''));
  if (/^\d{1,3}(?:\.\d+)?%?$/.test(text) && percent <= 100) return percent;
  throw new CliError('USAGE', `"--reserved" is "${text}" but must be a percentage from 0 to 100, or none`);
}

function merge(limits: NamespaceLimits | undefined, changes: Changes): NamespaceLimits {
  const merged = { ...limits, ...changes };
  // A burst is nothing without its rate.
  const isWithoutRate = merged.rate === undefined || merged.rate === NONE;
  const entries = Object.entries(merged).filter(
    ([key, value]) => value !== NONE && !(key === 'burst' && isWithoutRate && changes.burst === undefined),
  );
  return Object.fromEntries(entries);
}
