import { sharesOf } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { FunctionRecord, FunctionRegistry, Version } from '../core/ports.ts';
import { aliasMissing } from '../registry/check-alias.ts';

const NUMBER = /^[1-9]\d{0,8}$/;

/**
 * The version whose settings hold for a call: the one that `:alias`, `@number` or, empty, the bare name means; of a split
 * the one with most of the calls. A promise only where the registry has to look for it. Throws, or rejects with,
 * FUNCTION_NOT_FOUND, ALIAS_NOT_FOUND, VERSION_NOT_FOUND.
 */
export function versionMeant(
  registry: Pick<FunctionRegistry, 'resolve' | 'version'>,
  { namespace, name, qualifier }: { readonly namespace: string; readonly name: string; readonly qualifier: string },
): Version | Promise<Version> {
  const record = registry.resolve(namespace, name);
  if (!record)
    throw new EbbError(
      'FUNCTION_NOT_FOUND',
      `there is no function "${name}" in namespace "${namespace}"; "ebb list" shows what is deployed`,
    );
  if (qualifier === '') return record.live;
  const part = qualifier.slice(1);
  if (qualifier.startsWith(':')) return aliasVersion(record, part);
  if (!NUMBER.test(part))
    throw new EbbError(
      'VERSION_NOT_FOUND',
      `function "${name}" has no version "${part}": a version is a number, such as @1`,
    );
  const number = Number(part);
  return record.versions.find(({ version }) => version === number) ?? registry.version(namespace, name, number);
}

function aliasVersion({ name, aliases, versions }: FunctionRecord, alias: string): Version {
  const spec = aliases.find((one) => one.name === alias)?.spec;
  const shares = sharesOf(spec?.versions ?? {}) ?? [];
  const most = shares.toSorted((left, right) => right.share - left.share || right.version - left.version)[0];
  const version = versions.find((one) => one.version === most?.version);
  if (version) return version;
  throw new EbbError('ALIAS_NOT_FOUND', aliasMissing(name, alias));
}
