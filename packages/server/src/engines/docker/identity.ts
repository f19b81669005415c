import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { InstanceLabels } from '../engine.ts';

const identitySchema = z.object({
  namespace: z.string(),
  function: z.string(),
  version: z.number(),
  generation: z.string(),
});

const FILE = 'identity.json';

/**
 * Writes what a spare becomes into the instance's own directory, which no instance sees: the labels of a container
 * cannot be changed. A reader sees all of it or nothing.
 */
export async function writeIdentity(root: string, labels: InstanceLabels): Promise<void> {
  const { namespace, version, generation } = labels;
  const pending = join(root, `${FILE}.new`);
  await writeFile(pending, JSON.stringify({ namespace, function: labels.function, version, generation }), {
    mode: 0o600,
  });
  await rename(pending, join(root, FILE));
}

/** What a spare became; undefined while it is one, or when that can no longer be read. */
export async function readIdentity(root: string, installation: string): Promise<InstanceLabels | undefined> {
  try {
    return { installation, ...identitySchema.parse(JSON.parse(await readFile(join(root, FILE), 'utf8'))) };
  } catch {
    return undefined;
  }
}
