import {
  type ColdStart,
  type FunctionResource,
  type InstanceResource,
  type RolloutResource,
  type ScaleSpec,
  startPhases,
  type StartReport,
  type VersionResource,
} from '@ebb/contract';
import { defineCommand } from '../../core/command.ts';
import { formatAge } from '../../core/format-time.ts';
import { functionRefOf } from '../../core/function-ref.ts';
import { findRollout } from '../../rollout/find-rollout.ts';
import { describeRollout } from '../../rollout/format-rollout.ts';
import { formatFields, formatTable } from '../../terminal/table.ts';
import { describeAliases, describeShares } from '../../traffic/describe-alias.ts';

const VERSIONS_SHOWN = 10;

/** Shows one function with its versions, instances and last cold starts. Exits 3 when there is none. */
export const describeCommand = defineCommand({
  name: 'function describe',
  aliases: ['function get', 'describe'],
  summary: 'show one function with its versions, instances and last cold starts',
  args: [{ name: 'function', summary: 'NAME or NAME.NAMESPACE' }],
  async run(context) {
    const { parameters, output, signal } = context;
    const ref = await functionRefOf(context, parameters.required('function'));
    const { client, url } = await context.connect();
    const [resource, versions, instances, coldStarts, last] = await Promise.all([
      client.functions.get(ref, { signal }),
      client.functions.versions(ref, { signal }),
      client.functions.instances(ref, { signal }),
      client.functions.coldStarts(ref, { signal }),
      findRollout(client, ref, signal),
    ]);
    const rollout = last?.endedAt === undefined ? last : undefined;
    const value = { ...resource, versions, runningInstances: instances, coldStarts, ...(rollout && { rollout }) };
    const address = `${url}${resource.path}`;
    output.result({ ...value, url: address }, () =>
      [fields(resource, rollout, url), versionTable(versions), instanceTable(instances), coldStartTable(coldStarts)]
        .filter(Boolean)
        .join('\n\n'),
    );
  },
});

function fields(resource: FunctionResource, rollout: RolloutResource | undefined, url: string): string {
  const { spec } = resource;
  return formatFields([
    ['Name', resource.name],
    ['Namespace', resource.namespace],
    ['Address', `${url}${resource.path}`],
    ['Runs', spec.image ?? spec.runtime],
    ['Handler', spec.handler],
    ['State', `${resource.state}, ${resource.instances} of at most ${spec.scale.max} instances`],
    ['Starts', heldBack(resource)],
    ['Version', `${resource.version}, deployed ${formatAge(resource.versionCreatedAt, Date.now())}`],
    ['Aliases', resource.aliases.map((alias) => `${alias.name} to ${describeShares(alias)}`).join('; ')],
    ['Rollout', rollout && describeRollout(rollout)],
    ['Rollback', describeWayBack(resource, rollout)],
    ['Limits', `${spec.memory} memory, ${spec.cpu} cpu, ${spec.concurrency} calls at once, timeout ${spec.timeout}`],
    ['Calls', describeCalls(spec)],
    ['Scale', describeScale(spec.scale)],
    ['Last scaled', describeScaling(resource)],
    ['Callers', spec.auth === 'required' ? 'with a token' : 'anybody'],
    ['Environment', Object.keys(spec.env).join(', ')],
    ['Secrets', spec.secrets.join(', ')],
    ['Labels', pairs(spec.labels)],
    ['Annotations', pairs(spec.annotations)],
  ]);
}

function describeWayBack({ before }: FunctionResource, rollout: RolloutResource | undefined): string | undefined {
  if (rollout) return `to version ${rollout.from}, which ends the rollout`;
  return before === undefined ? undefined : `to version ${before}`;
}

function describeCalls({ limits }: FunctionResource['spec']): string | undefined {
  if (!limits) return undefined;
  const { concurrency, reserved } = limits;
  const most = concurrency === undefined ? 'any number' : `at most ${concurrency}`;
  return `${most} at once over all versions${reserved > 0 ? `, ${reserved} reserved` : ''}`;
}

function describeScale({ min, max, mode, target, idle, keepAlive, schedule }: ScaleSpec): string {
  const parts = [`${min} to ${max}`, `idle after ${idle}`];
  if (mode !== 'concurrency' || target !== undefined)
    parts.push(`by ${mode}${target === undefined ? '' : ` ${target}`}`);
  if (keepAlive !== undefined) parts.push(`kept alive by ${keepAlive}`);
  for (const time of schedule) parts.push(`${time.min} for ${time.for} from "${time.cron}" ${time.timeZone}`);
  return parts.join(', ');
}

function describeScaling({ scaling }: FunctionResource): string | undefined {
  if (!scaling) return undefined;
  return `to ${scaling.desired}, ${formatAge(scaling.at, Date.now())}: ${scaling.reason}`;
}

function heldBack({ startsHeld }: FunctionResource): string | undefined {
  if (!startsHeld) return undefined;
  const { reason, failures, until } = startsHeld;
  const seconds = Math.max(1, Math.ceil((Date.parse(until) - Date.now()) / 1000));
  return `held back for ${seconds} s after ${failures} failures: ${reason}`;
}

/** How an instance was started and how long that took, such as "burst, 18 ms from the pool". */
function startOf({ start }: InstanceResource): string {
  if (!start) return '';
  return `${start.cause}, ${Math.round(totalMs(start))} ms${start.spare === 'used' ? ' from the pool' : ''}`;
}

function totalMs(start: StartReport): number {
  return startPhases(start).reduce((sum, [, ms]) => sum + ms, 0);
}

function pairs(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
}

function versionTable(versions: readonly VersionResource[]): string {
  return formatTable(versions.slice(0, VERSIONS_SHOWN), [
    { title: 'version', value: (item) => item.version, align: 'right' },
    { title: 'gets calls of', value: describeAliases },
    { title: 'runs', value: (item) => item.spec.image ?? item.spec.runtime ?? '' },
    { title: 'digest', value: (item) => item.digest.slice(0, 'sha256:'.length + 12) },
    { title: 'made', value: (item) => formatAge(item.createdAt, Date.now()) },
  ]);
}

function instanceTable(instances: readonly InstanceResource[]): string {
  if (instances.length === 0) return 'No instances; the next call starts one.';
  return formatTable(instances, [
    { title: 'instance', value: (item) => item.id },
    { title: 'version', value: (item) => item.version, align: 'right' },
    { title: 'state', value: (item) => item.state },
    { title: 'calls', value: (item) => item.inFlight, align: 'right' },
    { title: 'engine', value: (item) => item.engine },
    { title: 'started', value: (item) => formatAge(item.startedAt, Date.now()) },
    { title: 'start', value: startOf },
  ]);
}

/** What became of the pool of instances without code at a start. */
const POOL: Readonly<Record<StartReport['spare'], string>> = {
  used: 'used',
  made: 'used',
  empty: 'empty',
  unfit: 'does not fit',
  failed: 'failed',
  off: 'off',
};

function coldStartTable(coldStarts: readonly ColdStart[]): string {
  if (coldStarts.length === 0) return '';
  return formatTable(coldStarts, [
    { title: 'cold start', value: (item) => formatAge(item.at, Date.now()) },
    { title: 'version', value: (item) => item.version, align: 'right' },
    { title: 'cause', value: (item) => item.cause },
    { title: 'pool', value: (item) => POOL[item.start.spare] },
    { title: 'calls', value: (item) => item.calls, align: 'right' },
    { title: 'total', value: (item) => milliseconds(totalMs(item.start)), align: 'right' },
    {
      title: 'of which',
      value: (item) =>
        startPhases(item.start)
          .map(([phase, ms]) => `${phase} ${milliseconds(ms)}`)
          .join(', '),
    },
  ]);
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
