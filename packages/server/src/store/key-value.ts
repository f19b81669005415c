/** A stored value with the number of times it was written. */
export interface Entry {
  readonly key: string;
  /** Text as it was written; modules put JSON here. */
  readonly value: string;
  /** 1 for the first write of a key, one more for each later one. */
  readonly version: number;
}

/** One change of a commit. `ifVersion` is the version the key must have; 0 means it must not exist. */
export type Write =
  | { readonly kind: 'set'; readonly key: string; readonly value: string; readonly ifVersion?: number }
  | { readonly kind: 'delete'; readonly key: string; readonly ifVersion?: number };

/** What a commit came to; on `conflict` nothing was written and `key` is the first that did not match. */
export type CommitResult = { readonly kind: 'committed' } | { readonly kind: 'conflict'; readonly key: string };

/**
 * A durable map from text to text. Throws STORE_FAILED when the medium fails, and TypeError for a key or value that
 * is not well-formed text without NUL. Operations take effect in the order they were asked for. A deleted key starts
 * again at version 1. Drivers pass the suite in testing/conformance/key-value.ts; the memory driver is the oracle.
 */
export interface KeyValue extends AsyncDisposable {
  get(key: string): Promise<Entry | undefined>;
  /** Entries whose key starts with `prefix`, by key in code-unit order. */
  list(prefix: string): Promise<readonly Entry[]>;
  /**
   * Writes all or nothing, one after the other: a later write of a commit sees the earlier ones. On disk when the
   * promise resolves.
   */
  commit(writes: readonly Write[]): Promise<CommitResult>;
}
