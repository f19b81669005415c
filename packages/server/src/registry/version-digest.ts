import { createHash } from 'node:crypto';
import type { FunctionSpec } from '@ebb/contract';

/** What makes a version different from another. */
export interface VersionContent {
  readonly spec: FunctionSpec;
  readonly code?: string | undefined;
  readonly imageDigest?: string | undefined;
}

/** `sha256:` digest over the content of a version; the order in which fields were written does not matter. */
export function versionDigest({ spec, code, imageDigest }: VersionContent): string {
  return `sha256:${createHash('sha256').update(canonicalJson({ spec, code, imageDigest })).digest('hex')}`;
}

/** JSON with the fields of objects in code-unit order and without the undefined ones: equal values, equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (isObject(inner) ? sorted(inner) : inner));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sorted(object: Record<string, unknown>): Record<string, unknown> {
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(object).sort()) copy[key] = object[key];
  return copy;
}
