import { existsSync } from 'node:fs';
import { describe, inject } from 'vitest';

const SYSTEM_SOCKET = '/var/run/docker.sock';

/** Socket of the Docker daemon that tests may use, or undefined where there is none. */
export function dockerSocket(): string | undefined {
  const provided = inject('dockerSocket');
  if (provided !== undefined) return provided;
  // Files that run without the global set-up, by hand for instance, take the machine's.
  return existsSync(SYSTEM_SOCKET) ? SYSTEM_SOCKET : undefined;
}

/** Like `describe`, with the socket of a Docker daemon; skipped by name, with the reason, where there is none. */
export function describeWithDocker(name: string, define: (socketPath: string) => void): void {
  const socketPath = dockerSocket();
  if (socketPath === undefined) {
    const reason = inject('dockerMissing') ?? `there is no ${SYSTEM_SOCKET}`;
    describe.skip(`${name} (needs Docker: ${reason})`, () => define(''));
    return;
  }
  describe(name, () => define(socketPath));
}
