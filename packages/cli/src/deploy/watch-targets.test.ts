import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Target } from './target.ts';
import { type WatchOptions, watchTargets } from './watch-targets.ts';

describe('watchTargets', () => {
  let root = '';
  let stop = new AbortController();
  let watching: Promise<void> = Promise.resolve();

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ebb-watch-'));
    stop = new AbortController();
    for (const name of ['a', 'b']) {
      await mkdir(join(root, name, 'lib'), { recursive: true });
      await writeFile(join(root, name, 'lib', 'x.js'), '1');
      await writeFile(join(root, name, '.ebbignore'), 'tmp\n');
    }
    await writeFile(join(root, 'ebb.yaml'), '1');
  });
  afterEach(async () => {
    stop.abort();
    await watching;
    await rm(root, { recursive: true });
  });

  const target = (name: string): Target => ({
    ref: { namespace: 'n', name },
    spec: { runtime: 'node' },
    codeDir: join(root, name),
    manifest: join(root, 'ebb.yaml'),
  });
  const start = (onChange: (changed: ReadonlySet<string>) => Promise<void>, more: Partial<WatchOptions> = {}) => {
    watching = watchTargets([target('a'), target('b')], {
      signal: stop.signal,
      onChange,
      onError: (error) => expect.unreachable(error.message),
      ...more,
    });
  };

  test('names the function whose code changed, deep below, and not what is ignored', async () => {
    const seen: string[][] = [];
    start((changed) => Promise.resolve(void seen.push([...changed])));
    await mkdir(join(root, 'b', 'tmp'));
    await writeFile(join(root, 'b', 'tmp', 'y'), '2');
    await writeFile(join(root, 'a', 'lib', 'x.js'), '2');
    await expect.poll(() => seen.flat()).toContain('n/a');
    expect(seen.flat()).not.toContain('n/b');
  });

  test('a manifest that an editor replaced concerns all its functions', async () => {
    const seen = new Set<string>();
    start((changed) => Promise.resolve(changed.forEach((key) => seen.add(key))));
    await writeFile(join(root, 'draft'), '2');
    await rename(join(root, 'draft'), join(root, 'ebb.yaml'));
    await expect.poll(() => [...seen].sort()).toEqual(['n/a', 'n/b']);
  });

  test('what changes before changes are handled, or may have while nobody watched, is handled then', async () => {
    const ready = Promise.withResolvers<void>();
    const seen: string[][] = [];
    const onChange = (changed: ReadonlySet<string>) => Promise.resolve(void seen.push([...changed].sort()));
    start(onChange, { notBefore: ready.promise, unseen: ['n/b'] });
    await writeFile(join(root, 'a', 'lib', 'x.js'), '2');
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(seen).toEqual([]);
    ready.resolve();
    await expect.poll(() => seen).toEqual([['n/a', 'n/b']]);
  });

  test('what changes while a change is handled comes after it, never at the same time', async () => {
    let running = 0;
    let most = 0;
    const seen: string[] = [];
    const first = Promise.withResolvers<void>();
    start(async (changed) => {
      most = Math.max(most, ++running);
      seen.push(...changed);
      await first.promise;
      running -= 1;
    });
    await writeFile(join(root, 'a', 'lib', 'x.js'), '2');
    await expect.poll(() => seen).toContain('n/a');
    await writeFile(join(root, 'b', 'lib', 'x.js'), '2');
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(seen).not.toContain('n/b');
    first.resolve();
    await expect.poll(() => seen).toContain('n/b');
    expect(most).toBe(1);
  });
});
