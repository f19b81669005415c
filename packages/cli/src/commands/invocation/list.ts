import { INVOCATION_STATES } from '@ebb/contract';
import { CliError } from '../../core/cli-error.ts';
import { defineCommand } from '../../core/command.ts';
import { functionRefOf, namespaceOf } from '../../core/function-ref.ts';
import { optionalMomentOf } from '../../core/moment.ts';
import { formatInvocations } from '../../invocation/format-invocation.ts';

/** Shows asynchronous calls, newest first. */
export const listInvocationsCommand = defineCommand({
  name: 'invocations list',
  aliases: ['invocations ls'],
  summary: 'show asynchronous calls, newest first',
  options: [
    { flags: '--function <name>', summary: 'only calls of this function' },
    { flags: '--state <state>', summary: `only calls that are ${INVOCATION_STATES.join(', ')}` },
    { flags: '--key <key>', summary: 'only calls with this key' },
    { flags: '--since <time>', summary: 'only those accepted since a moment, or so long ago: 10m' },
    { flags: '--before <time>', summary: 'only those accepted before a moment, or longer ago: 1h' },
    { flags: '--limit <count>', summary: 'at most this many (default 100)' },
    { flags: '--cursor <text>', summary: 'go on where a list ended' },
  ],
  examples: ['ebb invocations list --state queued', 'ebb invocations list --function thumbnail --since 1h'],
  async run(context) {
    const { parameters, output, signal } = context;
    const named = parameters.text('function');
    const ref = named === undefined ? undefined : await functionRefOf(context, named);
    const state = parameters.text('state');
    const known = INVOCATION_STATES.find((one) => one === state);
    if (state !== undefined && known === undefined) {
      throw new CliError('USAGE', `"--state" is "${state}" but must be one of ${INVOCATION_STATES.join(', ')}`);
    }
    const { client } = await context.connect();
    const page = await client.invocations.list(
      {
        namespace: ref?.namespace ?? (await namespaceOf(context)),
        function: ref?.name,
        state: known,
        key: parameters.text('key'),
        since: await optionalMomentOf(parameters.text('since'), '--since'),
        before: await optionalMomentOf(parameters.text('before'), '--before'),
        limit: parameters.count('limit', 1),
        cursor: parameters.text('cursor'),
      },
      { signal },
    );
    output.result(page, () =>
      page.invocations.length === 0 ? 'no calls' : formatInvocations(page.invocations, Date.now()),
    );
    if (page.next !== undefined) output.note(`there are more: --cursor ${page.next}`);
  },
});
