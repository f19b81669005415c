import { type FunctionResource, type FunctionSpecInput, functionSpecSchema } from '@ebb/contract';

/** Digest of the code of a {@link functionResource} with a runtime, where a test says no other. */
export const CODE = `sha256:${'a'.repeat(64)}`;

/** A deployed function as the API shows it. */
export function functionResource(
  namespace: string,
  name: string,
  spec: FunctionSpecInput,
  code: string = CODE,
): FunctionResource {
  const parsed = functionSpecSchema.parse(spec);
  return {
    namespace,
    name,
    version: 1,
    spec: parsed,
    ...(parsed.runtime === undefined ? {} : { code }),
    aliases: [],
    state: 'idle',
    instances: 0,
    path: `/function/${name}`,
    createdAt: '2026-11-21T00:00:00Z',
    versionCreatedAt: '2026-11-21T00:00:00Z',
    updatedAt: '2026-11-21T00:00:00Z',
  };
}
