import { nameSchema } from '@ebb/contract';
import { z } from 'zod';
import { EbbError } from '../../core/errors.ts';
import type { NamespaceRegistry } from '../../core/ports.ts';
import { answeringWith, type OpenFaasCall, type OpenFaasMethod, type OpenFaasRoute } from './openfaas-route.ts';
import { readJson } from './read-json.ts';

/** What the routes of namespaces speak to. */
export interface NamespaceRoutesOptions {
  readonly namespaces: NamespaceRegistry;
  readonly bodyMaxBytes: number;
}

const facts = z.record(z.string().min(1).max(253), z.string().max(16_384));
const namespaceSchema = z.object({
  name: nameSchema.optional(),
  labels: facts.optional(),
  annotations: facts.optional(),
});
type NamespaceBody = z.output<typeof namespaceSchema>;

/** Clients say this of namespaces that are meant for functions. */
const MARK = 'openfaas';

/** Namespaces. Every one of them holds functions, so the list has them all. */
export function namespaceRoutes({ namespaces, bodyMaxBytes }: NamespaceRoutesOptions): readonly OpenFaasRoute[] {
  const requireKnown = (name: string) => {
    const namespace = namespaces.get(name);
    if (namespace) return namespace;
    throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${name}"`);
  };
  const read = ({ request }: OpenFaasCall): Promise<NamespaceBody> => readJson(request, namespaceSchema, bodyMaxBytes);
  const requireSameName = (name: string, body: NamespaceBody) => {
    if (body.name === undefined || body.name === name) return;
    throw new EbbError('INVALID_REQUEST', `"name" is "${body.name}" but the path names "${name}"`);
  };

  const update = async (call: OpenFaasCall) => {
    const name = call.params['namespace'] ?? '';
    const body = await read(call);
    requireSameName(name, body);
    requireKnown(name);
    requireMark(body);
    await namespaces.describe(name, { labels: body.labels ?? {}, annotations: body.annotations ?? {} });
    return { status: 202 };
  };
  const remove = async (call: OpenFaasCall) => {
    const name = call.params['namespace'] ?? '';
    requireSameName(name, await read(call));
    requireKnown(name);
    await answeringWith({ NAMESPACE_NOT_EMPTY: 400 }, () => namespaces.remove(name));
    return { status: 202 };
  };
  const both = (method: OpenFaasMethod, run: OpenFaasRoute['run']): OpenFaasRoute[] =>
    ['/system/namespace/{namespace}', '/system/namespaces/{namespace}'].map((path) => ({
      method,
      path,
      scope: 'namespaces:write',
      run,
    }));

  return [
    {
      method: 'GET',
      path: '/system/namespaces',
      scope: 'namespaces:read',
      run: () => ({ status: 200, json: namespaces.list().map(({ name }) => name) }),
    },
    {
      method: 'POST',
      path: '/system/namespace',
      scope: 'namespaces:write',
      async run(call) {
        const body = await read(call);
        const { name } = body;
        if (name === undefined) throw new EbbError('INVALID_REQUEST', '"name" is missing: expected a text');
        requireMark(body);
        if (namespaces.get(name)) throw new EbbError('CONFLICT', `there is a namespace "${name}" already`);
        await namespaces.create(name, { labels: body.labels ?? {}, annotations: body.annotations ?? {} });
        return { status: 201 };
      },
    },
    {
      method: 'GET',
      path: '/system/namespace/{namespace}',
      scope: 'namespaces:read',
      run({ params }) {
        const { name, labels, annotations } = requireKnown(params['namespace'] ?? '');
        const isDescribed = labels !== undefined || annotations !== undefined;
        return {
          status: 200,
          json: { name, labels: labels ?? {}, annotations: isDescribed ? (annotations ?? {}) : { [MARK]: '1' } },
        };
      },
    },
    ...both('PUT', update),
    ...both('DELETE', remove),
  ];
}

function requireMark({ labels, annotations }: NamespaceBody): void {
  if (labels?.[MARK] === '1' || annotations?.[MARK] === '1') return;
  throw new EbbError(
    'INVALID_REQUEST',
    `neither "labels" nor "annotations" has "${MARK}": "1"; add one of them to say that the namespace is for functions`,
  );
}
