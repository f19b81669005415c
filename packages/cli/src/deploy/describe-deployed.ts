import type { DeployResult } from '@ebb/sdk';
import { describeMatches } from '../traffic/describe-alias.ts';

/** What became of a deploy in a few words: `web version 7 updated`, or how its version takes over. */
export function describeDeployed(resource: DeployResult): string {
  return describeTakeover(resource) ?? `${resource.name} version ${resource.deployed} ${resource.change}`;
}

/** How the new version takes over, such as "web takes over by canary: version 6 to 7"; undefined without a rollout. */
export function describeTakeover({ name, rollout }: DeployResult): string | undefined {
  return rollout && `${name} takes over by ${rollout.strategy}: version ${rollout.from} to ${rollout.to}`;
}

/** What ended with a deploy because it was for the version before; undefined when nothing did. */
export function describeEnded({ name, ended }: DeployResult): string | undefined {
  if (!ended) return undefined;
  const { match, shadow } = ended;
  const parts = [
    ...(match.length > 0 ? [`what matched (${describeMatches({ match })})`] : []),
    ...(shadow ? [`copies to version ${shadow.version}`] : []),
  ];
  return `${name}: of "live", ${parts.join(' and ')} ended with this deploy; "ebb alias set ${name} live" sets it again`;
}
