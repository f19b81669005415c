import { secretNameSchema } from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../../core/errors.ts';
import type { NamespaceRegistry, SecretRegistry } from '../../core/ports.ts';
import { answeringWith, type OpenFaasCall, type OpenFaasRoute } from './openfaas-route.ts';
import { parseNamespace } from './parse-namespace.ts';
import { readJson } from './read-json.ts';

/** What the routes of secrets speak to. */
export interface SecretRoutesOptions {
  readonly namespaces: Pick<NamespaceRegistry, 'get'>;
  readonly secrets: Omit<SecretRegistry, 'reveal'>;
  readonly bodyMaxBytes: number;
}

const namedSchema = z.object({ name: secretNameSchema, namespace: z.string().optional() });
const secretSchema = namedSchema.extend({
  value: z.string().optional(),
  rawValue: z.base64('must be base64').optional(),
});

/** Secrets: their names are listed, their values only ever come in (T2). */
export function secretRoutes({ namespaces, secrets, bodyMaxBytes }: SecretRoutesOptions): readonly OpenFaasRoute[] {
  const set = async ({ request, query }: OpenFaasCall, mode: 'create' | 'replace') => {
    const body = await readJson(request, secretSchema, bodyMaxBytes);
    const { name } = body;
    const namespace = parseNamespace(body.namespace, query['namespace']);
    const isThere = namespaces.get(namespace) !== undefined && (await secrets.has(namespace, name));
    if (mode === 'create' && isThere) {
      throw new EbbError('CONFLICT', `there is a secret "${name}" in namespace "${namespace}" already; update it`);
    }
    if (mode === 'replace' && !isThere) throw notFound(namespace, name);
    await answeringWith({ NAMESPACE_NOT_FOUND: 400 }, () => secrets.set(namespace, name, valueOf(body)));
    return { status: mode === 'create' ? 201 : 200 };
  };

  return [
    {
      method: 'GET',
      path: '/system/secrets',
      scope: 'secrets:read',
      async run({ query }) {
        const namespace = parseNamespace(undefined, query['namespace']);
        const stored = await answeringWith({ NAMESPACE_NOT_FOUND: 400 }, () => secrets.list(namespace));
        return { status: 200, json: stored.map(({ name }) => ({ name, namespace })) };
      },
    },
    { method: 'POST', path: '/system/secrets', scope: 'secrets:write', run: (call) => set(call, 'create') },
    { method: 'PUT', path: '/system/secrets', scope: 'secrets:write', run: (call) => set(call, 'replace') },
    {
      method: 'DELETE',
      path: '/system/secrets',
      scope: 'secrets:write',
      async run({ request, query }) {
        const body = await readJson(request, namedSchema, bodyMaxBytes);
        await secrets.remove(parseNamespace(body.namespace, query['namespace']), body.name);
        return { status: 202 };
      },
    },
  ];
}

/** The untouched bytes where a client sends them; its `value` is the same text with the space around it cut off. */
function valueOf({ value, rawValue }: z.output<typeof secretSchema>): Uint8Array {
  if (rawValue !== undefined && rawValue !== '') return Buffer.from(rawValue, 'base64');
  return new TextEncoder().encode(value ?? '');
}

function notFound(namespace: string, name: string): EbbError {
  return new EbbError('SECRET_NOT_FOUND', `there is no secret "${name}" in namespace "${namespace}"`);
}
