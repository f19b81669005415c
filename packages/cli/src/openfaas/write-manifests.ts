import { writeFile } from 'node:fs/promises';
import { parse, resolve } from 'node:path';
import { exportManifest } from '../apply/export-manifest.ts';
import { CliError } from '../core/cli-error.ts';
import type { BroughtFunction } from './to-brought.ts';

/**
 * Writes one `ebb.yaml` a namespace and returns their paths; the first has the name given, others have their namespace in
 * it. Throws FILE_FAILED, also where a file is there already.
 */
export async function writeManifests(path: string, ready: readonly BroughtFunction[]): Promise<readonly string[]> {
  const namespaces = [...new Set(ready.map(({ ref }) => ref.namespace))];
  const { dir, name, ext } = parse(path);
  const written: string[] = [];
  for (const [index, namespace] of namespaces.entries()) {
    const file = index === 0 ? path : resolve(dir, `${name}.${namespace}${ext}`);
    const functions = ready
      .filter(({ ref }) => ref.namespace === namespace)
      .map(({ ref, spec }) => ({ name: ref.name, spec }));
    try {
      await writeFile(file, exportManifest(namespace, functions), { flag: 'wx' });
    } catch (error) {
      const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST';
      throw new CliError(
        'FILE_FAILED',
        `${file} ${isThere ? 'is there already; name another file' : 'cannot be written'}`,
        {
          cause: error,
        },
      );
    }
    written.push(file);
  }
  return written;
}
