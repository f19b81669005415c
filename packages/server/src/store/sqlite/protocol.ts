import type { CommitResult, Entry, Write } from '../key-value.ts';

/** One operation as the worker thread gets it. */
export type Operation =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'list'; readonly prefix: string }
  | { readonly kind: 'commit'; readonly writes: readonly Write[] };

/** What one operation came to; `failed` carries a sentence for a person and SQLite's own words. */
export type Outcome =
  | { readonly kind: 'entry'; readonly entry: Entry | undefined }
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  | { readonly kind: 'committed'; readonly result: CommitResult }
  | Failure;

/** An operation, or opening the file, did not work. */
export interface Failure {
  readonly kind: 'failed';
  readonly code: 'STORE_FAILED' | 'DATA_DIR_IN_USE';
  readonly message: string;
  readonly cause: string;
}

/** Main thread to worker: operations in order, answered together; or the end. */
export type Request =
  | { readonly kind: 'batch'; readonly operations: readonly Operation[] }
  | { readonly kind: 'close' };

/** Worker to main thread. `opened` or `failed` comes once, first. */
export type Reply =
  | { readonly kind: 'opened' }
  | Failure
  | { readonly kind: 'batch'; readonly outcomes: readonly Outcome[] };
