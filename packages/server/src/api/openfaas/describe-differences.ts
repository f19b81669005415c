import type { FunctionSpec } from '@ebb/contract';
import { parseSizeBytes } from '@ebb/contract';
import type { FunctionDeployment } from './function-deployment.ts';
import { parseCpu, parseMemory } from './parse-quantity.ts';

/** Quantities that are given to instances; others are kept and shown. */
const HONOURED: ReadonlySet<string> = new Set(['memory', 'cpu']);
/** Annotations that mean something to other substrates alone. */
const FOREIGN = ['com.openfaas.profile', 'com.openfaas.serviceaccount'] as const;

/**
 * What of a deployment is kept and shown as it was written but not honoured, or not to the letter, by the one host that
 * runs `spec`; one sentence each, for the log.
 */
export function describeDifferences(deployment: FunctionDeployment, spec: FunctionSpec): readonly string[] {
  const { constraints = [], limits = {}, requests = {}, annotations = {} } = deployment;
  const notes: string[] = [];
  if (constraints.length > 0) notes.push(`"constraints" are kept but place nothing: there is one host`);
  for (const name of new Set([...Object.keys(limits), ...Object.keys(requests)])) {
    if (!HONOURED.has(name)) notes.push(`"limits" and "requests" of "${name}" are kept but give nothing`);
  }
  const memory = parseMemory(limits['memory'] ?? '');
  if (memory !== undefined && memory !== parseSizeBytes(spec.memory)) {
    notes.push(`"limits.memory" is "${limits['memory']}": instances get ${spec.memory} bytes, the nearest there is`);
  }
  const cpu = parseCpu(limits['cpu'] ?? '');
  if (cpu !== undefined && cpu !== Number(spec.cpu)) {
    notes.push(`"limits.cpu" is "${limits['cpu']}": instances get ${spec.cpu} cores, the nearest there is`);
  }
  for (const name of FOREIGN) {
    if (annotations[name] !== undefined) notes.push(`annotation "${name}" is kept but means nothing here`);
  }
  return notes;
}
