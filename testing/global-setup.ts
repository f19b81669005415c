import Dockerode from 'dockerode';
import type { TestProject } from 'vitest/node';
import { ensureBaseImage } from './services/base-image.ts';
import { ensureDebianPrograms } from './services/debian-programs.ts';
import { startDocker } from './services/docker.ts';
import { ensureNats } from './services/nats.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the Docker daemon's socket, or undefined where none can be had. */
    readonly dockerSocket: string | undefined;
    /** Image that holds a minimal Debian, or undefined without a daemon. */
    readonly baseImage: string | undefined;
    /** Why there is no Docker daemon or base image; tests that need one are skipped with it. */
    readonly dockerMissing: string | undefined;
    /** Why there is no `nats-server`; tests that need one are skipped with it. */
    readonly natsMissing: string | undefined;
    /** Why Debian's registry and monitoring cannot be had; tests that need them are skipped with it. */
    readonly debianProgramsMissing: string | undefined;
  }
}

/** Gets the real services that the heavy tests need before the first of them runs; returns how to let go of them. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  project.provide('natsMissing', await ensureNats());
  project.provide('debianProgramsMissing', await ensureDebianPrograms());
  const docker = await startDocker();
  if ('unavailable' in docker) {
    project.provide('dockerSocket', undefined);
    project.provide('baseImage', undefined);
    project.provide('dockerMissing', docker.unavailable);
    return async () => {};
  }
  const image = await ensureBaseImage(new Dockerode({ socketPath: docker.socketPath })).catch((error: unknown) => {
    process.stderr.write(`no base image: ${String(error)}\n`);
    return undefined;
  });
  project.provide('dockerSocket', docker.socketPath);
  project.provide('baseImage', image);
  project.provide('dockerMissing', image === undefined ? 'the base image cannot be made' : undefined);
  return async () => docker[Symbol.asyncDispose]();
}
