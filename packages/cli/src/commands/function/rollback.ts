import type { FunctionResource, RolloutResource } from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { versionNumberOf } from '../../core/version-number.ts';
import { findRollout } from '../../rollout/find-rollout.ts';
import { describeShares } from '../../traffic/describe-alias.ts';

const LIVE = 'live';

/** Gives every call of a function to the version that had them before. */
export const rollbackCommand = defineCommand({
  name: 'function rollback',
  aliases: ['rollback'],
  summary: 'give every call to the version that had them before; a second time leads forward again',
  args: [{ name: 'function', summary: 'NAME or NAME.NAMESPACE' }],
  options: [{ flags: '--to <version>', summary: 'another version than the one before' }],
  examples: ['ebb rollback hello', 'ebb rollback hello --to 7'],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const given = parameters.text('to');
    const to = given === undefined ? undefined : versionNumberOf(given, '--to');
    const { client } = await context.connect();
    const [was, rollout] = await Promise.all([client.functions.get(ref, { signal }), findRollout(client, ref, signal)]);
    const resource = await client.functions.rollback(ref, { to, signal });
    output.result(resource, () => describeRollback(was, resource, rollout));
    const { version } = resource;
    if (rollout?.state === 'rolled-back' && rollout.to === version) {
      output.warn(`the last rollout took version ${version} back: ${rollout.message} (${rollout.reason})`);
    }
  },
});

function describeRollback(was: FunctionResource, is: FunctionResource, rollout: RolloutResource | undefined): string {
  const { name, version, before } = is;
  const forward = before === undefined ? '' : `; the same again goes to version ${before}`;
  const now = `version ${version}, which gets every call now${forward}`;
  if (rollout && rollout.endedAt === undefined) {
    return `${name}: the rollout from version ${rollout.from} to ${rollout.to} has ended; back to ${now}`;
  }
  const live = was.aliases.find((alias) => alias.name === LIVE);
  const shares = live && describeShares(live);
  const from = shares === undefined || shares.startsWith('version') ? `version ${was.version}` : `the split ${shares}`;
  return `${name}: from ${from} back to ${now}`;
}
