import { describeProblem, type FunctionName, type FunctionSpec } from '@ebb/contract';
import type { Target } from '../deploy/target.ts';
import type { ImageBuild, ImportedFunction, OpenFaasDeployment } from './deployment.ts';
import { describeDifferences } from './describe-differences.ts';

/** What annotations about retries begin with. */
const RETRY = 'com.openfaas.retry.';

/** A function on its way: what it is here, or why it cannot be. */
export type Brought = BroughtFunction | RefusedFunction;

/** A function that can be deployed. */
export interface BroughtFunction {
  readonly kind: 'target';
  readonly ref: FunctionName;
  readonly target: Target;
  readonly spec: FunctionSpec;
  readonly image: string;
  readonly build?: ImageBuild;
  readonly notes: readonly string[];
}

/** A function that cannot be deployed. */
export interface RefusedFunction {
  readonly kind: 'refused';
  readonly ref: FunctionName;
  readonly reason: string;
  readonly notes: readonly string[];
}

/** The mapping that the server itself goes by: the spec of a deployment; throws where one is not allowed. */
export type Mapping = (deployment: OpenFaasDeployment) => {
  readonly spec: FunctionSpec;
  /** What of it counts as something else than it says. */
  readonly notes: readonly string[];
};

/** Turns a function of another platform into one of here. Pure, as far as the mapping is. */
export function toBrought({ deployment, build, notes: own }: ImportedFunction, mapping: Mapping): Brought {
  const { namespace, service: name, image } = deployment;
  const ref = { namespace, name };
  const notes = [...own, ...describeDifferences(deployment)];
  try {
    const mapped = mapping(deployment);
    return {
      kind: 'target',
      ref,
      target: { ref, spec: mapped.spec },
      spec: mapped.spec,
      image,
      ...(build === undefined ? {} : { build }),
      notes: [...notes, ...mapped.notes],
    };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { kind: 'refused', ref, reason: error.message, notes };
  }
}

/** Loads the mapping of the server. */
export async function loadMapping(): Promise<Mapping> {
  const server = await import('@ebb/server');
  return (deployment) => {
    const checked = server.functionDeploymentSchema.safeParse(deployment);
    if (!checked.success) throw new Error(describeProblem(checked.error, deployment, 'it').message);
    const { spec, notes } = server.toFunctionSpec(checked.data, undefined);
    const ignored = Object.entries(spec.annotations).filter(
      ([name, value]) => name.startsWith(RETRY) && server.resolveRetryAnnotations({ [name]: value }) === undefined,
    );
    return {
      spec,
      notes: [
        ...describeDefaults(deployment, spec),
        ...notes,
        ...server.describeDifferences(checked.data, spec),
        ...ignored.map(([name, value]) => `annotation "${name}" is ${JSON.stringify(value)}: it counts as absent`),
      ],
    };
  };
}

/** Limits that hold here and were not set there, where none means as much as there is. */
function describeDefaults({ limits }: OpenFaasDeployment, { memory, cpu }: FunctionSpec): string[] {
  const held = [
    ...(limits?.['memory'] === undefined ? [`${memory} of memory`] : []),
    ...(limits?.['cpu'] === undefined ? [`${cpu} core`] : []),
  ];
  return held.length === 0 ? [] : [`no limit was set there; here an instance has ${held.join(' and ')}`];
}
