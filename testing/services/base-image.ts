import { execFile } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import type Dockerode from 'dockerode';
import { readProgress } from '../../packages/server/src/engines/docker/read-progress.ts';
import { installPackages, isInstalled } from './docker.ts';

const run = promisify(execFile);

/** Image that the images of tests and examples are built from. */
export const BASE_IMAGE = 'ebb-test/debian:bookworm';
/** Kept between runs and shared by daemons. */
const ARCHIVE = '/var/tmp/ebb-test-debian-bookworm.tar';

/**
 * Makes sure a minimal Debian is there under {@link BASE_IMAGE} and returns that name. It is bootstrapped from a
 * Debian mirror (root only), since no image registry can be assumed. Throws when it cannot be made.
 */
export async function ensureBaseImage(docker: Dockerode): Promise<string> {
  const isThere = await docker
    .getImage(BASE_IMAGE)
    .inspect()
    .then(
      () => true,
      () => false,
    );
  if (isThere) return BASE_IMAGE;
  if (!existsSync(ARCHIVE)) await bootstrap();
  const [repo = '', tag = ''] = BASE_IMAGE.split(':');
  const answer = await docker.importImage(createReadStream(ARCHIVE), { repo, tag });
  await readProgress(answer);
  return BASE_IMAGE;
}

async function bootstrap(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('only root can bootstrap a base image, and no daemon has one yet');
  if (!(await isInstalled('mmdebstrap'))) await installPackages(['mmdebstrap']);
  const partial = `${ARCHIVE}.${process.pid}.tar`;
  try {
    await run('mmdebstrap', ['--quiet', '--variant=minbase', 'bookworm', partial], {
      timeout: 600_000,
      maxBuffer: 2 ** 26,
    });
    await rename(partial, ARCHIVE);
  } finally {
    await rm(partial, { force: true });
  }
}

/** What {@link buildImage} builds. */
export interface BuildOptions {
  readonly tag: string;
  /** Directory with a `Dockerfile`. */
  readonly contextDir: string;
  /** Called with what the build prints. */
  readonly onText?: (text: string) => void;
}

/** Builds an image from a directory with the daemon's builder. Throws with the last words of a failed build. */
export async function buildImage(docker: Dockerode, options: BuildOptions): Promise<void> {
  const src = await readdir(options.contextDir);
  const printed: string[] = [];
  const answer = await docker.buildImage(
    { context: options.contextDir, src },
    { t: options.tag, rm: true, forcerm: true },
  );
  try {
    await readProgress(answer, (text) => {
      printed.push(text);
      options.onText?.(text);
    });
  } catch (error) {
    throw new Error(`the image ${options.tag} cannot be built:\n${printed.slice(-20).join('')}`, { cause: error });
  }
}
