import { codeResourceSchema } from '@ebb/contract';
import type { CodeStore, NamespaceRegistry } from '../core/ports.ts';
import { readChunks } from '../core/http1/read-chunks.ts';
import { namespaceParams, requireNamespace } from './namespace-routes.ts';
import { defineRoute, type Route } from './route.ts';

/** What the routes of code need. */
export interface CodeRouteOptions {
  readonly namespaces: NamespaceRegistry;
  /** Caps what an archive may hold, and takes tar as it is or gzip'ed. */
  readonly code: CodeStore;
}

/** Routes of code. */
export function codeRoutes({ namespaces, code }: CodeRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/v1/namespaces/{namespace}/code',
      scope: 'code:write',
      operation: 'uploadCode',
      summary: 'Uploads an archive of a code directory; a deploy refers to it by the digest in the answer.',
      params: namespaceParams,
      body: {
        content: { 'application/x-tar': 'bytes', 'application/gzip': 'bytes', 'application/zip': 'bytes' },
        // The body is read by the work itself, which unpacks it while it arrives.
        read: (_request, type) => Promise.resolve(type),
      },
      answer: { kind: 'json', schema: codeResourceSchema, description: 'Digest and size of the unpacked code.' },
      errors: ['NAMESPACE_NOT_FOUND', 'CODE_INVALID', 'CODE_TOO_LARGE', 'STORE_FAILED'],
      handle({ params, body, request, signal }) {
        requireNamespace(namespaces, params.namespace);
        return code.put(readChunks(request), body === 'application/zip' ? 'zip' : 'tar', signal);
      },
    }),
  ];
}
