import type { VersionKey } from '@ebb/contract';

/** What gateway processes do with the pools of this one, as last reported. */
export interface CallsElsewhere {
  /** Calls that run or wait in them, by version. */
  readonly calls: ReadonlyMap<VersionKey, number>;
  /** Slots they have on lease, with or without a call, and slots they wait for, by version. */
  readonly lent: ReadonlyMap<VersionKey, { readonly leased: number; readonly asked: number }>;
}

/** Where there are no gateway processes. */
export const NOTHING_ELSEWHERE: CallsElsewhere = { calls: new Map(), lent: new Map() };
