import { watch } from 'node:fs';
import { relative } from 'node:path';
import { readIgnoreRules } from '../packing/list-files.ts';
import type { Target } from './load-targets.ts';

/** Editors write a file in several steps; what comes within this time is one change. */
const SETTLE_MS = 30;

/** What to do about changes. */
export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Called after changes under the code of some functions have settled; never twice at once. */
  readonly onChange: (changed: readonly Target[]) => Promise<void>;
  /** Called when a directory can no longer be watched. */
  readonly onError: (error: Error) => void;
}

/**
 * Watches the code directories of functions until the signal aborts. A change during `onChange` is reported after it.
 */
export async function watchTargets(targets: readonly Target[], options: WatchOptions): Promise<void> {
  const changed = new Set<Target>();
  let timer: NodeJS.Timeout | undefined;
  let isBusy = false;
  const settle = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (isBusy || changed.size === 0) return;
      const batch = [...changed];
      changed.clear();
      isBusy = true;
      void options.onChange(batch).finally(() => {
        isBusy = false;
        if (changed.size > 0) settle();
      });
    }, SETTLE_MS);
  };
  const directories = Map.groupBy(
    targets.filter((target) => target.codeDir !== undefined),
    (target) => target.codeDir ?? '',
  );
  for (const [directory, owners] of directories) {
    const isIgnored = ignoreTest(directory);
    const watcher = watch(directory, { recursive: true, signal: options.signal }, (_event, name) => {
      if (name !== null && isIgnored(name)) return;
      for (const owner of owners) changed.add(owner);
      settle();
    });
    watcher.on('error', (error) => {
      if (!options.signal.aborted) options.onError(error);
    });
  }
  await new Promise<void>((resolve) => {
    if (options.signal.aborted) resolve();
    else options.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  clearTimeout(timer);
}

function ignoreTest(directory: string): (name: string) => boolean {
  const rules = readIgnoreRules(directory);
  return (name) => {
    const path = relative('.', name);
    return path !== '' && !path.startsWith('..') && rules.ignores(path);
  };
}
