import { z } from 'zod';

/** Namespace used when a request names none. Existing clients of the field hard-code this literal. */
export const DEFAULT_NAMESPACE = 'openfaas-fn';

/** What every name (function, namespace, alias) must match: a DNS label of at most 63 characters. */
export const NAME_PATTERN = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** What a secret's name must match: DNS labels joined by single dots, at most 253 characters. */
export const SECRET_NAME_PATTERN =
  /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** What an environment variable's name must match. */
export const ENV_NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]{0,255}$/;

/** A name of a function, namespace or alias. */
export const nameSchema = z
  .string()
  .regex(NAME_PATTERN, 'must be 1 to 63 lower-case letters, digits or "-", starting and ending with a letter or digit');

/** A function of the same namespace: its name, optionally with an alias or a version. */
export const functionReferenceSchema = z
  .string()
  .max(200)
  .regex(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:[:@][a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)?$/, {
    error: 'must be the name of a function of the same namespace, optionally with ":ALIAS" or "@VERSION"',
  });

/** A secret's name. */
export const secretNameSchema = z
  .string()
  .regex(
    SECRET_NAME_PATTERN,
    'must be lower-case letters, digits, "-" and single dots, at most 253 characters, starting and ending with a letter or digit',
  );

/** A function's name together with its namespace. */
export interface FunctionName {
  readonly namespace: string;
  readonly name: string;
}

/** The backend key of one version: `namespace/name@version`. Nothing is ever keyed by a bare function name. */
export type VersionKey = `${string}/${string}@${number}`;

/** Builds the backend key of a version. */
export function versionKey(namespace: string, name: string, version: number): VersionKey {
  return `${namespace}/${name}@${version}`;
}

/**
 * Reads `NAME` or `NAME.NAMESPACE` as users write it in a path or on the command line. The namespace is the
 * text after the last dot. Returns undefined when either part breaks {@link NAME_PATTERN}.
 */
export function parseFunctionName(
  text: string,
  defaultNamespace: string = DEFAULT_NAMESPACE,
): FunctionName | undefined {
  const dot = text.lastIndexOf('.');
  const name = dot === -1 ? text : text.slice(0, dot);
  const namespace = dot === -1 ? defaultNamespace : text.slice(dot + 1);
  return NAME_PATTERN.test(name) && NAME_PATTERN.test(namespace) ? { namespace, name } : undefined;
}
