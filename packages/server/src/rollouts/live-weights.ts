import { type AliasSpec, LIVE_ALIAS, sharesOf, WEIGHT_TOTAL } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { FunctionRecord } from '../core/ports.ts';

/** The two versions of a rollout. */
export interface RolloutPair {
  readonly from: number;
  readonly to: number;
}

/** What `live` says once the new version gets `weight` percent; both stay named, so that their instances are kept. */
export function withWeight(record: FunctionRecord, { from, to }: RolloutPair, weight: number): AliasSpec | undefined {
  const rest = Number((WEIGHT_TOTAL - weight).toFixed(2));
  return withVersions(record, { [from]: rest, [to]: weight });
}

/** What `live` says once one version has all calls. */
export function withOnly(record: FunctionRecord, version: number): AliasSpec | undefined {
  return withVersions(record, { [version]: WEIGHT_TOTAL });
}

/** Whether `live` says what a rollout with that weight made it say. */
export function hasWeight(record: FunctionRecord, { from, to }: RolloutPair, weight: number): boolean {
  const versions = versionsOfLive(record);
  return versions[to] === weight && versions[from] !== undefined && Object.keys(versions).length === 2;
}

/** Whether `live` names the versions of a rollout, or as before its first change the old one alone. */
export function namesPair(record: FunctionRecord, { from, to }: RolloutPair, isFirst: boolean): boolean {
  const numbers = Object.keys(versionsOfLive(record)).map(Number);
  if (!numbers.includes(from)) return false;
  return numbers.includes(to) ? numbers.length === 2 : isFirst && numbers.length === 1;
}

/** Whether several versions get calls of `live`. */
export function isSplit(record: FunctionRecord): boolean {
  return sharesOfLive(record).length > 1;
}

/** Throws LIVE_IS_SPLIT where several versions get calls of `live`: a rollout begins with one. */
export function requireUnsplit(record: FunctionRecord): void {
  if (!isSplit(record)) return;
  const versions = sharesOfLive(record)
    .map(({ version }) => version)
    .join(' and ');
  throw new EbbError(
    'LIVE_IS_SPLIT',
    `"live" of "${record.name}" is split between versions ${versions}; point it to one of them before a rollout`,
  );
}

function sharesOfLive(record: FunctionRecord) {
  return sharesOf(versionsOfLive(record)) ?? [];
}

function versionsOfLive(record: FunctionRecord): AliasSpec['versions'] {
  return liveOf(record)?.versions ?? {};
}

function withVersions(record: FunctionRecord, versions: AliasSpec['versions']): AliasSpec | undefined {
  const live = liveOf(record);
  return live && { ...live, versions };
}

function liveOf(record: FunctionRecord): AliasSpec | undefined {
  return record.aliases.find(({ name }) => name === LIVE_ALIAS)?.spec;
}
