import type { InstanceResource, InstanceState } from '@ebb/contract';
import type { Version } from '../core/ports.ts';
import type { Engine } from '../engines/engine.ts';
import type { Freezer } from './freezer.ts';
import type { Member } from './stop-member.ts';

/** The instances of a version as the API shows them. */
export function describeMembers(
  members: Iterable<Member>,
  options: {
    readonly version: Version;
    readonly engine: Pick<Engine, 'name'>;
    readonly freezer: Pick<Freezer, 'isFrozen'>;
  },
): InstanceResource[] {
  const { version, engine, freezer } = options;
  return [...members].map((member) => ({
    id: member.launched.instance.id,
    namespace: version.namespace,
    function: version.name,
    version: version.version,
    state: stateOf(member, freezer),
    inFlight: member.endpoint.inFlight,
    engine: engine.name,
    startedAt: new Date(member.launched.instance.startedAt).toISOString(),
    ...(member.launched.start === undefined ? {} : { start: member.launched.start }),
  }));
}

function stateOf(member: Member, freezer: Pick<Freezer, 'isFrozen'>): InstanceState {
  if (member.state === 'draining') return 'draining';
  if (freezer.isFrozen(member)) return 'frozen';
  return member.endpoint.inFlight > 0 ? 'busy' : 'idle';
}
