import { rename, writeFile } from 'node:fs/promises';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const labelsSchema = z.object({
  installation: z.string(),
  namespace: z.string(),
  function: z.string(),
  version: z.number(),
  generation: z.string(),
});

const stateSchema = z.object({
  labels: labelsSchema,
  /** Present while the instance belongs to no version yet. */
  spare: z.literal(true).optional(),
  startedAt: z.number(),
  bootId: z.string(),
  /** Absent until the process runs. */
  process: z.object({ pid: z.number().int().positive(), startTicks: z.string() }).optional(),
});

/** What an instance's directory says about it, so that the next server knows it. */
export type InstanceState = z.output<typeof stateSchema>;

const FILE = 'state.json';

/** Replaces the state in an instance's directory; a reader sees the old or the new one, never a part. */
export async function writeState(root: string, state: InstanceState): Promise<void> {
  const pending = join(root, `${FILE}.new`);
  await writeFile(pending, JSON.stringify(state), { mode: 0o600 });
  await rename(pending, join(root, FILE));
}

/** The state in an instance's directory; undefined when there is none that can be read. */
export function readState(root: string): InstanceState | undefined {
  try {
    return stateSchema.parse(JSON.parse(readFileSync(join(root, FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Milliseconds since the directory was last changed; 0 when it is gone. */
export function ageOf(root: string): number {
  return Date.now() - (statSync(root, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
}
