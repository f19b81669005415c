import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { FunctionRecord, Version } from '../core/ports.ts';
import type { KeyValue, Write } from '../store/key-value.ts';
import { decideRetention, type RetentionRule } from './decide-retention.ts';
import { namedVersions } from './function-record.ts';
import { versionNoteKey, versionRecordKey } from './store-keys.ts';
import { parseOutline, parseVersion } from './version-record.ts';

/** What a collector of versions is made of. */
export interface VersionCollectorOptions {
  readonly store: KeyValue;
  readonly clock: Clock;
  readonly rule: RetentionRule;
  readonly isVersionBusy: (version: Version) => boolean | Promise<boolean>;
  readonly logger?: Logger | undefined;
}

/** Removes the versions of a function that are beyond the rule and that nothing needs. */
export type CollectVersions = (record: FunctionRecord) => Promise<void>;

/**
 * Makes the collector. What an alias names, what a rollback goes back to and what is busy stays. It is to be called
 * while nothing else changes the function, and throws STORE_FAILED.
 */
export function createVersionCollector(options: VersionCollectorOptions): CollectVersions {
  const { store, clock, rule, isVersionBusy, logger } = options;
  return async (record) => {
    const { namespace, name, before } = record;
    const entries = await store.list(versionRecordKey(namespace, name));
    if (entries.length <= rule.kept && rule.maxAgeMs === undefined) return;
    const outlines = entries.map(parseOutline);
    const byNumber = new Map(outlines.map(({ version }, index) => [version, entries[index]]));
    const needed = new Set(namedVersions(record));
    if (before !== undefined) needed.add(before);
    const gone: number[] = [];
    for (const number of decideRetention(outlines, needed, rule, clock.now())) {
      const entry = byNumber.get(number);
      if (entry && !(await isVersionBusy(parseVersion(namespace, name, entry)))) gone.push(number);
    }
    if (gone.length === 0) return;
    await store.commit(
      gone.flatMap((number): Write[] => [
        { kind: 'delete', key: versionRecordKey(namespace, name, number) },
        { kind: 'delete', key: versionNoteKey(namespace, name, number) },
      ]),
    );
    logger?.info({ namespace, function: name, versions: gone }, 'old versions were removed');
  };
}
