import type { CodeLimits } from './code-limits.ts';
import type { WrittenTree } from './tree-writer.ts';

/** What the unpacking thread is given. */
export interface UnpackTask {
  readonly archive: string;
  readonly archiveBytes: number;
  readonly format: 'tar' | 'zip';
  /** An empty folder that nobody else can write to. */
  readonly root: string;
  readonly limits: CodeLimits;
}

/** What the unpacking thread answers, once. */
export type UnpackReply =
  | { readonly kind: 'done'; readonly tree: WrittenTree }
  | {
      readonly kind: 'failed';
      readonly code: 'CODE_INVALID' | 'CODE_TOO_LARGE' | 'STORE_FAILED';
      readonly message: string;
      readonly cause: string;
    };
