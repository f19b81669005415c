import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { EbbClient } from '@ebb/sdk';
import { bundledDirectory } from '../core/bundled-directory.ts';
import type { CommandContext } from '../core/command.ts';
import { createUploadMemory, deployTarget } from '../deploy/deploy-target.ts';
import { findManifest, loadTargets } from '../deploy/load-targets.ts';

/** Functions that a first start deploys, the quickest first: names of directories under `examples/`. */
export const SAMPLES: readonly string[] = ['hello', 'thumbnail'];

/** Where the samples are, if they came along. */
export function samplesDirectory(): string | undefined {
  const examples = bundledDirectory('examples');
  return examples !== undefined && SAMPLES.some((name) => existsSync(join(examples, name))) ? examples : undefined;
}

/** What deploying samples needs. */
export interface SampleOptions {
  readonly context: CommandContext;
  readonly client: EbbClient;
  readonly examples: string;
  readonly signal: AbortSignal;
}

/** Deploys samples like anybody's functions. Never throws: a sample that fails is one line, not a failed start. */
export async function deploySamples(names: readonly string[], options: SampleOptions): Promise<void> {
  const { context, client, examples, signal } = options;
  const { output, startTask, env, cwd } = context;
  const common = { client, startTask, signal, env, cwd, memory: createUploadMemory() };
  for (const name of names) {
    const manifest = findManifest(join(examples, name));
    if (manifest === undefined) continue;
    try {
      // The samples are ours, not the person's: their settings and namespace have no say.
      for (const target of await loadTargets(manifest, { cwd, env })) {
        const { url, tookMs } = await deployTarget(target, {
          ...common,
          install: true,
          probe: true,
          serve: true,
        });
        output.note(`sample ${target.ref.name} is ready after ${(tookMs / 1000).toFixed(1)} s: ${url}`);
      }
    } catch (error) {
      if (signal.aborted) return;
      output.warn(
        `the sample ${name} could not be deployed: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
