import type { LogLine } from '@ebb/contract';

/** Lines that wait for one reader. */
export interface LogFollower {
  /** Adds a line; beyond the bound the oldest waiting ones are skipped and counted. */
  push(line: LogLine): void;
  /** The waiting lines, and how many were skipped before them. */
  take(): { readonly lines: readonly LogLine[]; readonly skipped: number };
  /** Resolves when there is something to take or the follower has ended. */
  wait(): Promise<void>;
  /** No more lines will come. */
  end(): void;
  readonly ended: boolean;
}

/** Makes a follower that keeps at most `maxLines` lines for a reader that is slower than the log. */
export function createLogFollower(maxLines: number): LogFollower {
  let lines: LogLine[] = [];
  let skipped = 0;
  let ended = false;
  let wake: (() => void) | undefined;
  return {
    push(line) {
      if (lines.length >= maxLines) {
        skipped += lines.length;
        lines = [];
      }
      lines.push(line);
      wake?.();
    },
    take() {
      const taken = { lines, skipped };
      lines = [];
      skipped = 0;
      return taken;
    },
    async wait() {
      if (ended || lines.length > 0) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      wake = undefined;
    },
    end() {
      ended = true;
      wake?.();
    },
    get ended() {
      return ended;
    },
  };
}
