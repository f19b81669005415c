import { existsSync, watch } from 'node:fs';
import { basename, dirname, relative } from 'node:path';
import { readIgnoreRules } from '../packing/list-files.ts';
import { type Target, targetKey } from './target.ts';

/** Editors write a file in several steps; what comes within this time is one change. */
const SETTLE_MS = 30;

/** What to do about changes. */
export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Changes are noticed at once but kept until this resolves. */
  readonly notBefore?: Promise<void>;
  /** What may have changed while nobody watched, named by {@link targetKey}; reported as if it had now. */
  readonly unseen?: Iterable<string>;
  /**
   * Called after changes of code or manifests of some functions have settled; never twice at once. They are named by
   * {@link targetKey}.
   */
  readonly onChange: (changed: ReadonlySet<string>) => Promise<void>;
  /** Called when a directory can no longer be watched. */
  readonly onError: (error: Error) => void;
}

/**
 * Watches the code directories and manifests of functions until the signal aborts. A change during `onChange` is reported after it.
 */
export async function watchTargets(targets: readonly Target[], options: WatchOptions): Promise<void> {
  let changed = new Set<string>(options.unseen);
  let timer: NodeJS.Timeout | undefined;
  let isBusy = options.notBefore !== undefined;
  const settle = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (isBusy || changed.size === 0) return;
      const batch = changed;
      changed = new Set();
      isBusy = true;
      void options.onChange(batch).finally(() => {
        isBusy = false;
        if (changed.size > 0) settle();
      });
    }, SETTLE_MS);
  };
  const observe = (directory: string, isRecursive: boolean, ownersOf: (name: string | null) => readonly Target[]) => {
    const onEvent = (_event: string, name: string | null) => {
      const owners = ownersOf(name);
      if (owners.length === 0) return;
      for (const owner of owners) changed.add(targetKey(owner));
      settle();
    };
    try {
      const watcher = watch(directory, { recursive: isRecursive, signal: options.signal }, onEvent);
      watcher.on('error', (error) => {
        if (!options.signal.aborted) options.onError(error);
      });
    } catch (error) {
      // A directory that is not there is what its deploy complains about.
      if (!existsSync(directory)) return;
      options.onError(error instanceof Error ? error : new Error(String(error)));
    }
  };
  for (const [directory, owners] of groupBy(targets, (target) => target.codeDir)) {
    const isIgnored = ignoreTest(directory);
    observe(directory, true, (name) => (name !== null && isIgnored(name) ? [] : owners));
  }
  for (const [manifest, owners] of groupBy(targets, (target) => target.manifest)) {
    // The directory, since editors replace the file itself.
    observe(dirname(manifest), false, (name) => (name === null || name === basename(manifest) ? owners : []));
  }
  if (changed.size > 0) settle();
  void options.notBefore?.then(() => {
    isBusy = false;
    if (changed.size > 0) settle();
  });
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

function groupBy(
  targets: readonly Target[],
  keyOf: (target: Target) => string | undefined,
): ReadonlyMap<string, readonly Target[]> {
  const groups = new Map<string, Target[]>();
  for (const target of targets) {
    const key = keyOf(target);
    if (key !== undefined) groups.set(key, [...(groups.get(key) ?? []), target]);
  }
  return groups;
}
