import {
  type FunctionSpec,
  type FunctionSpecInput,
  functionSpecSchema,
  type OpenFaasSpec,
  parseGoTimeoutMs,
  writeDuration,
} from '@ebb/contract';
import { EbbError } from '../../core/errors.ts';
import { validate } from '../validate.ts';
import type { FunctionDeployment } from './function-deployment.ts';
import { parseCpu, parseMemory } from './parse-quantity.ts';
import { resolveRetryAnnotations } from './resolve-retry-annotations.ts';
import { resolveScaleLabels } from './resolve-scale-labels.ts';

const MIB = 2 ** 20;
/** Bounds of a spec's `memory` and `cpu`: what a deployment says outside of them is run with the nearest. */
const MEMORY = { least: 5 * MIB, most: 2 ** 40 } as const;
const CPU = { least: 0.01, most: 512 } as const;
const DEFAULT_CPU = 1;
/** Images that run a process for every call need many at once. */
const PIDS = 2048;
/** How long a call may run unless the function's own variables say longer. */
const TIMEOUT_MS = 60_000;
const MOST_TIMEOUT_MS = 86_400_000;
/** Variables by which function images are told how long a call may take. */
const TIMEOUT_VARIABLES = ['exec_timeout', 'write_timeout', 'read_timeout'] as const;

/** What a deployment means, and which of its labels count as something else than they say; one sentence each. */
export interface MeantSpec {
  readonly spec: FunctionSpec;
  readonly notes: readonly string[];
}

/**
 * The spec that a deployment means. Whatever a spec has no field for is kept in `openfaas` as it was written; `secretsAt`
 * is when the newest of the function's secrets was set. Throws INVALID_REQUEST.
 */
export function toFunctionSpec(deployment: FunctionDeployment, secretsAt: string | undefined): MeantSpec {
  const { image, envProcess, envVars = {}, secrets = [], labels = {}, annotations = {}, limits } = deployment;
  const env = envProcess ? { ...envVars, fprocess: envProcess } : envVars;
  const memoryBytes = quantityOf('memory', limits?.['memory'], parseMemory, '"128Mi"');
  const cpuCores = quantityOf('cpu', limits?.['cpu'], parseCpu, '"100m" or "0.5"');
  const cpu = cpuCores === undefined ? DEFAULT_CPU : within(cpuCores, CPU);
  const { scale, concurrency, notes } = resolveScaleLabels({ labels, cpuCores: cpu, env });
  const retry = resolveRetryAnnotations(annotations);
  const input: FunctionSpecInput = {
    image,
    env,
    secrets: [...new Set(secrets)],
    ...(memoryBytes === undefined ? {} : { memory: within(memoryBytes, MEMORY) }),
    ...(cpuCores === undefined ? {} : { cpu }),
    pids: PIDS,
    readOnlyRootFilesystem: deployment.readOnlyRootFilesystem ?? false,
    // Images of this kind bring a user of their own, who owns the files they need.
    user: 'image',
    timeout: writeDuration(timeoutOf(env)),
    concurrency,
    scale,
    ...(retry === undefined ? {} : { async: { retry } }),
    labels,
    annotations,
    openfaas: saidBesides(deployment, secretsAt),
  };
  const spec = validate(functionSpecSchema, input, 'the body');
  return { spec, notes };
}

function saidBesides(deployment: FunctionDeployment, secretsAt: string | undefined): OpenFaasSpec {
  const { limits, requests, constraints, envProcess } = deployment;
  return {
    ...(isFilled(limits) && { limits }),
    ...(isFilled(requests) && { requests }),
    ...(constraints && constraints.length > 0 && { constraints }),
    ...(envProcess && { envProcess }),
    ...(secretsAt !== undefined && { secretsAt }),
  };
}

function isFilled(quantities: Readonly<Record<string, string>> | undefined): boolean {
  return quantities !== undefined && Object.keys(quantities).length > 0;
}

function quantityOf(
  name: string,
  text: string | undefined,
  parse: (text: string) => number | undefined,
  example: string,
): number | undefined {
  if (text === undefined || text === '') return undefined;
  const value = parse(text);
  if (value !== undefined && value > 0) return value;
  throw new EbbError('INVALID_REQUEST', `"limits.${name}" is ${JSON.stringify(text)} but must be such as ${example}`);
}

function within(value: number, { least, most }: { readonly least: number; readonly most: number }): number {
  return Math.min(Math.max(value, least), most);
}

function timeoutOf(env: Readonly<Record<string, string>>): number {
  const said = TIMEOUT_VARIABLES.map((name) => parseGoTimeoutMs(env[name] ?? '') ?? 0);
  return Math.ceil(Math.min(Math.max(TIMEOUT_MS, ...said), MOST_TIMEOUT_MS));
}
