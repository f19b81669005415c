import { type FunctionSpec, parseCpuCores } from '@ebb/contract';

/** A function as clients of the compatible surface see it. What is not set is absent, other than labels and annotations. */
export interface FunctionStatus {
  readonly name: string;
  readonly namespace: string;
  readonly image: string;
  readonly envProcess?: string;
  readonly envVars?: Readonly<Record<string, string>>;
  readonly constraints?: readonly string[];
  readonly secrets?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
  readonly requests?: Readonly<Record<string, string>>;
  readonly readOnlyRootFilesystem?: boolean;
  readonly invocationCount?: number;
  /** Instances that are meant to be. */
  readonly replicas: number;
  /** Instances that would serve a call now. */
  readonly availableReplicas: number;
  readonly createdAt: string;
  readonly usage?: { readonly cpu: number; readonly totalMemoryBytes: number };
}

/** What a status is told from. */
export interface StatusFacts {
  readonly namespace: string;
  readonly name: string;
  readonly spec: FunctionSpec;
  /** Digest of the code of a function that has no image. */
  readonly code?: string | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  readonly replicas: number;
  readonly availableReplicas: number;
  readonly invocationCount?: number | undefined;
  readonly usage?: FunctionStatus['usage'] | undefined;
}

/** The label that every function carries here, with its name as the value. */
const NAME_LABEL = 'faas_function';

/** The status of a function, with everything a deployment said as it was written. */
export function toFunctionStatus(facts: StatusFacts): FunctionStatus {
  const { namespace, name, spec, code, createdAt, replicas, availableReplicas, invocationCount, usage } = facts;
  const envVars = shownVariables(spec);
  const { constraints, requests, envProcess } = spec.openfaas ?? {};
  return {
    name,
    namespace,
    image: spec.image ?? `ebb/${spec.runtime ?? 'runtime'}${code === undefined ? '' : `@${code}`}`,
    ...(envProcess === undefined ? {} : { envProcess }),
    ...(Object.keys(envVars).length > 0 && { envVars }),
    ...(constraints && { constraints }),
    ...(spec.secrets.length > 0 && { secrets: spec.secrets }),
    labels: { ...spec.labels, [NAME_LABEL]: name },
    annotations: spec.annotations,
    ...limitsOf(spec),
    ...(requests && { requests }),
    ...(spec.readOnlyRootFilesystem && { readOnlyRootFilesystem: true }),
    ...(invocationCount === undefined ? {} : { invocationCount }),
    replicas,
    availableReplicas,
    createdAt: new Date(createdAt).toISOString(),
    ...(usage && { usage }),
  };
}

/** The process is told in a field of its own. */
function shownVariables({ env, openfaas }: FunctionSpec): Readonly<Record<string, string>> {
  if (openfaas?.envProcess === undefined) return env;
  const { fprocess: _process, ...others } = env;
  return others;
}

/** Of a function that came another way, the limits it has. */
function limitsOf({ openfaas, memory, cpu }: FunctionSpec): Pick<FunctionStatus, 'limits'> {
  if (openfaas) return openfaas.limits ? { limits: openfaas.limits } : {};
  return { limits: { memory: String(memory), cpu: `${Math.round((parseCpuCores(cpu) ?? 0) * 1000)}m` } };
}
