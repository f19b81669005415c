/** An operation, or opening the file, did not work: a sentence for a person, and SQLite's own words. */
export interface Failure {
  readonly kind: 'failed';
  readonly code: 'STORE_FAILED' | 'STORAGE_FULL' | 'DATA_DIR_IN_USE';
  readonly message: string;
  readonly cause: string;
}

/** What one operation came to. */
export type Outcome<Result> = { readonly kind: 'done'; readonly result: Result } | Failure;

/** Main thread to worker: operations in order, answered together; or the end. */
export type Request<Operation> =
  | { readonly kind: 'batch'; readonly operations: readonly Operation[] }
  | { readonly kind: 'close' };

/** Worker to main thread. `opened` or `failed` comes once, first. */
export type Reply<Result> =
  | { readonly kind: 'opened' }
  | Failure
  | { readonly kind: 'batch'; readonly outcomes: readonly Outcome<Result>[] };
