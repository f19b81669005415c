import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Dockerode from 'dockerode';
import { BASE_IMAGE, buildImage, ensureBaseImage } from '../services/base-image.ts';

const SERVER = join(import.meta.dirname, '../fixtures/watchdog-contract/server.pl');

/** What {@link buildContractImage} builds. */
export interface ContractImageOptions {
  readonly tag: string;
  /** Program that answers a request, with its arguments; split at spaces. Default: `cat`. */
  readonly fprocess?: string;
  /** Further lines of the Dockerfile, such as `USER games`. */
  readonly lines?: readonly string[];
}

/**
 * Builds an image that keeps to the contract of function images made for OpenFaaS: port 8080, `/_/health`, the lock file
 * with a HEALTHCHECK on it, `fprocess`, headers as environment, draining on SIGTERM. Its server is our own, so passing
 * with it does not show that a real watchdog works. The caller removes the image.
 */
export async function buildContractImage(docker: Dockerode, options: ContractImageOptions): Promise<void> {
  await ensureBaseImage(docker);
  const contextDir = await mkdtemp(join(tmpdir(), 'ebb-contract-image-'));
  try {
    await copyFile(SERVER, join(contextDir, 'server.pl'));
    const dockerfile = [
      `FROM ${BASE_IMAGE}`,
      'COPY server.pl /server.pl',
      `ENV fprocess=${JSON.stringify(options.fprocess ?? 'cat')}`,
      'EXPOSE 8080',
      'HEALTHCHECK --interval=1s CMD [ -e /tmp/.lock ]',
      'CMD ["perl", "/server.pl"]',
      ...(options.lines ?? []),
      '',
    ];
    await writeFile(join(contextDir, 'Dockerfile'), dockerfile.join('\n'));
    await buildImage(docker, { tag: options.tag, contextDir });
  } finally {
    await rm(contextDir, { recursive: true, force: true });
  }
}
