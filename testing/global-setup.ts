import { access } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the Docker daemon's socket, or undefined where none can be had. */
    readonly dockerSocket: string | undefined;
    /** Why there is no Docker daemon; tests that need one are skipped with it. */
    readonly dockerMissing: string | undefined;
  }
}

/** Gets the real services that the heavy tests need, before the first of them runs. */
export async function setup(project: TestProject): Promise<void> {
  const socket = '/var/run/docker.sock';
  const found = await access(socket).then(
    () => true,
    () => false,
  );
  project.provide('dockerSocket', found ? socket : undefined);
  project.provide('dockerMissing', found ? undefined : `there is no ${socket}`);
}
