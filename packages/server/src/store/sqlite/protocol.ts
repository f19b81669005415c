/** An operation, or opening the file, did not work: a sentence for a person, and SQLite's own words. */
export interface Failure {
  readonly kind: 'failed';
  readonly code: 'STORE_FAILED' | 'STORAGE_FULL' | 'DATA_DIR_IN_USE';
  readonly message: string;
  readonly cause: string;
}

/** What one operation came to. */
export type Outcome<Result> = { readonly kind: 'done'; readonly result: Result } | Failure;

/** Main thread to worker: operations in order, in the form in which they are sent, answered together; or the end. */
export type Request<Wire> =
  | { readonly kind: 'batch'; readonly operations: readonly Wire[] }
  | { readonly kind: 'close' };

/** Worker to main thread. `opened` or `failed` comes once, first. */
export type Reply<Result> =
  | { readonly kind: 'opened' }
  | Failure
  | {
      readonly kind: 'batch';
      /** By operation; undefined also for one that failed. */
      readonly results: readonly (Result | undefined)[];
      readonly failures: readonly (readonly [index: number, Failure])[];
    };
