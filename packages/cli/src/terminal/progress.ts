import type { Output, Sink } from './output.ts';

/** A piece of work somebody may be waiting for. */
export interface Task {
  /** Says how far it is; on a terminal only, since it changes often. */
  update(text: string): void;
  /** Ends it; without a text it leaves no trace on a terminal. */
  done(text?: string): void;
  /** Ends it without success; the error itself is reported elsewhere. */
  failed(): void;
}

/** Starts showing a piece of work. */
export type StartTask = (text: string) => Promise<Task>;

/** Work nobody is told about. */
export const SILENT_TASK: Task = { update: () => {}, done: () => {}, failed: () => {} };

/**
 * Shows long work on standard error: a spinner on a terminal, plain lines elsewhere, nothing with `--quiet` or
 * `--json`.
 */
export function createProgress(output: Output, stderr: Sink & NodeJS.WritableStream): StartTask {
  if (output.mode.quiet || output.mode.json) return () => Promise.resolve(SILENT_TASK);
  if (stderr.isTTY !== true) {
    return (text) => {
      output.note(text);
      return Promise.resolve({
        ...SILENT_TASK,
        done: (last) => {
          if (last !== undefined) output.note(last);
        },
      });
    };
  }
  return async (text) => {
    const { default: createSpinner } = await import('yocto-spinner');
    const spinner = createSpinner({ text, stream: process.stderr, handleSignals: false }).start();
    return {
      update(next) {
        spinner.text = next;
      },
      done(last) {
        if (last === undefined) spinner.stop();
        else if (output.mode.color) spinner.success(last);
        else spinner.stop(last);
      },
      failed: () => void spinner.stop(),
    };
  };
}
