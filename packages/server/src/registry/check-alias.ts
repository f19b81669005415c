import { type AliasSpec, looksLikeVersion, NAME_PATTERN, sharesOf, versionsOf, WEIGHT_TOTAL } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';

/** What ALIAS_NOT_FOUND says, and what to do next. */
export function aliasMissing(name: string, alias: string): string {
  const hint = looksLikeVersion(alias) ? `; version ${alias.replace('v', '')} is "@${alias.replace('v', '')}"` : '';
  return `function "${name}" has no alias "${alias}"; "ebb alias list ${name}" lists those there are${hint}`;
}

/** Throws ALIAS_NAME_INVALID unless `name` may name an alias. */
export function requireAliasName(name: string): void {
  if (!NAME_PATTERN.test(name)) {
    throw new EbbError('ALIAS_NAME_INVALID', `"${name}" cannot name an alias: use lower-case letters, digits and "-"`);
  }
  if (looksLikeVersion(name)) {
    throw new EbbError(
      'ALIAS_NAME_INVALID',
      `"${name}" cannot name an alias: it could be taken for a version's number`,
    );
  }
}

/**
 * Checks what can be checked of an alias without knowing its function; returns the numbers of all versions it names.
 * Throws ALIAS_NAME_INVALID, WEIGHTS_INVALID.
 */
export function requireAliasSpec(name: string, spec: AliasSpec): ReadonlySet<number> {
  requireAliasName(name);
  if (!sharesOf(spec.versions)) {
    const sum = Object.values(spec.versions).reduce((total, weight) => total + weight, 0);
    const shown = Number(sum.toFixed(2));
    throw new EbbError('WEIGHTS_INVALID', `the weights of "${name}" add up to ${shown}, not to ${WEIGHT_TOTAL}`);
  }
  return versionsOf(spec);
}
