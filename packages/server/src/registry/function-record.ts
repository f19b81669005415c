import {
  type AliasSpec,
  aliasSpecSchema,
  LIVE_ALIAS,
  type Share,
  sharesOf,
  versionsOf,
  WEIGHT_TOTAL,
} from '@ebb/contract';
import type { Alias, AskedReplicas, FunctionRecord, Version } from '../core/ports.ts';

/** The parts of a function that are not derived from others. */
export interface FunctionFacts {
  readonly namespace: string;
  readonly name: string;
  readonly aliases: readonly Alias[];
  readonly before?: number | undefined;
  readonly replicas?: AskedReplicas | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/**
 * Builds the record of a function. `known` has every version that its aliases refer to, and may have more. Throws
 * RangeError when one is missing, or the alias `live` is.
 */
export function makeRecord(facts: FunctionFacts, known: Iterable<Version>): FunctionRecord {
  const byNumber = new Map<number, Version>();
  for (const version of known) byNumber.set(version.version, version);
  const need = (number: number): Version => {
    const version = byNumber.get(number);
    if (version) return version;
    throw new RangeError(`version ${number} of ${facts.namespace}/${facts.name} is missing`);
  };
  const live = facts.aliases.find(({ name }) => name === LIVE_ALIAS);
  if (!live) throw new RangeError(`${facts.namespace}/${facts.name} has no alias "${LIVE_ALIAS}"`);
  const referred = new Set(facts.aliases.flatMap(({ spec }) => [...versionsOf(spec)]));
  const { before, replicas, ...rest } = facts;
  return {
    ...rest,
    live: need(largest(sharesOf(live.spec.versions) ?? []) ?? 0),
    aliases: facts.aliases.toSorted((left, right) => rank(left) - rank(right) || (left.name < right.name ? -1 : 1)),
    versions: [...referred].toSorted((left, right) => left - right).map(need),
    ...(before === undefined ? {} : { before }),
    ...(replicas === undefined ? {} : { replicas }),
  };
}

/** A record with one alias made or replaced; `known` as for {@link makeRecord}. */
export function withAlias(record: FunctionRecord, alias: Alias, known: Iterable<Version>): FunctionRecord {
  const others = record.aliases.filter(({ name }) => name !== alias.name);
  const facts = { ...record, aliases: [...others, alias], updatedAt: alias.updatedAt };
  const before = alias.name === LIVE_ALIAS ? beforeOf(record, alias.spec) : record.before;
  return makeRecord(pick({ ...facts, before }), known);
}

/** The version an alias sends every call to, whatever it matches or copies; undefined for a split. */
function wholeVersion({ versions }: AliasSpec): number | undefined {
  const shares = sharesOf(versions) ?? [];
  return shares.length === 1 ? shares[0]?.version : undefined;
}

/** Every version an alias of the function names, also with no share of the calls. */
export function namedVersions({ aliases }: Pick<FunctionRecord, 'aliases'>): ReadonlySet<number> {
  return new Set(aliases.flatMap(({ spec }) => [...versionsOf(spec), ...Object.keys(spec.versions).map(Number)]));
}

/**
 * What a rollback goes back to once `live` says `next`: the version that last had all calls for itself. A split is
 * only on the way somewhere, so it does not count; where one was given up, it is the version that did not make it.
 */
function beforeOf(record: FunctionRecord, next: AliasSpec): number | undefined {
  const current = findAlias(record, LIVE_ALIAS)?.spec;
  if (!current) return record.before;
  const [was, is] = [wholeVersion(current), wholeVersion(next)];
  if (was !== undefined) return was === is ? record.before : was;
  if (is === undefined) return record.before;
  if (record.before !== undefined && record.before !== is) return record.before;
  return largest((sharesOf(current.versions) ?? []).filter(({ version }) => version !== is));
}

/** A record that says what a rollback goes back to. */
export function withBefore({ before: _before, ...rest }: FunctionRecord, before: number | undefined): FunctionRecord {
  return { ...rest, ...(before === undefined ? {} : { before }) };
}

/** A record that says how many instances were asked for; undefined for what the spec says. */
export function withReplicas(
  { replicas: _replicas, ...rest }: FunctionRecord,
  replicas: AskedReplicas | undefined,
): FunctionRecord {
  return { ...rest, ...(replicas === undefined ? {} : { replicas }) };
}

/** A record without one of its aliases. */
export function withoutAlias(record: FunctionRecord, name: string, updatedAt: number): FunctionRecord {
  const aliases = record.aliases.filter((alias) => alias.name !== name);
  return makeRecord(pick({ ...record, aliases, updatedAt }), record.versions);
}

/** The alias `live` after a deploy; see {@link wholeAlias}. */
export function liveAlias(version: number, previous: Alias | undefined, updatedAt: number): Alias {
  return wholeAlias(LIVE_ALIAS, version, previous, updatedAt);
}

/** An alias that sends everything to one version; `previous` says how one client stays on one side later. */
export function wholeAlias(name: string, version: number, previous: Alias | undefined, updatedAt: number): Alias {
  const { description, sticky } = previous?.spec ?? {};
  const spec: AliasSpec = {
    ...aliasSpecSchema.parse({ versions: { [version]: WEIGHT_TOTAL } }),
    ...(description === undefined ? {} : { description }),
    ...(sticky === undefined ? {} : { sticky }),
  };
  return { name, spec, updatedAt };
}

/** The alias of that name. */
export function findAlias(record: FunctionRecord, name: string): Alias | undefined {
  return record.aliases.find((alias) => alias.name === name);
}

function pick({ namespace, name, aliases, before, replicas, createdAt, updatedAt }: FunctionFacts): FunctionFacts {
  return { namespace, name, aliases, before, replicas, createdAt, updatedAt };
}

function rank({ name }: Alias): number {
  return name === LIVE_ALIAS ? 0 : 1;
}

/** The version with the largest share; of equals the newest. */
function largest(shares: readonly Share[]): number | undefined {
  let main: Share | undefined;
  for (const share of shares) if (!main || share.share >= main.share) main = share;
  return main?.version;
}
