import { DEFAULT_NAMESPACE } from '@ebb/contract';

/** A function as a request names it. */
export interface NamedFunction {
  readonly namespace: string;
  readonly name: string;
}

/**
 * The namespace of a request. Newer clients say it in the body, older ones in the query; where both do the body counts,
 * and where none does the default namespace is meant. An empty text is none.
 */
export function parseNamespace(body: string | undefined, query: string | undefined): string {
  return body || query || DEFAULT_NAMESPACE;
}

/** The function a path names, as `NAME` or `NAME.NAMESPACE`; the namespace of the query comes before the path's. */
export function parsePathName(path: string, query: string | undefined): NamedFunction {
  const dot = path.lastIndexOf('.');
  const own = dot === -1 ? undefined : path.slice(dot + 1);
  return { name: dot === -1 ? path : path.slice(0, dot), namespace: parseNamespace(query, own) };
}
