import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { parse } from 'yaml';
import { CliError } from '../core/cli-error.ts';
import { ProgramError, runProgram } from '../core/run-program.ts';
import type { ImageBuild } from './deployment.ts';

/** Template that stands for a directory with a Dockerfile of its own. */
const DOCKERFILE = 'dockerfile';
const DEFAULT_HANDLER_FOLDER = 'function';
/** Folders of a handler's directory that tools make and that are no part of it. */
const SKIPPED: ReadonlySet<string> = new Set(['build', 'template']);

/** What a template says in its `template.yml`, as far as builds need it. */
interface Template {
  readonly dir: string;
  readonly handlerFolder: string;
  /** Packages by the name of the option that adds them. */
  readonly packages: ReadonlyMap<string, readonly string[]>;
}

/** How an image is built. */
export interface BuildImageOptions {
  readonly image: string;
  readonly build: ImageBuild;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/**
 * Builds the image of a function from its code and its template, with the `docker` program, under the name that the file
 * gives it; nothing is pushed. The template has to be in the folder `template` beside the file already. Throws
 * INPUT_INVALID when code or template are missing, and BUILD_FAILED with the last lines of a build that fails.
 */
export async function buildImage({ image, build, env, signal }: BuildImageOptions): Promise<void> {
  if (!existsSync(build.handlerDir)) {
    throw new CliError('INPUT_INVALID', `the code directory ${build.handlerDir} is not there`);
  }
  if (build.lang.toLowerCase() === DOCKERFILE) {
    return runDocker(commandOf(image, build, build.handlerDir, []), env, signal);
  }
  const template = await readTemplate(build);
  const context = await mkdtemp(join(tmpdir(), 'ebb-import-'));
  try {
    await cp(template.dir, context, { recursive: true });
    const handler = join(context, template.handlerFolder);
    await cp(build.handlerDir, handler, {
      recursive: true,
      filter: (path) => !SKIPPED.has(relative(build.handlerDir, path)),
    });
    for (const path of build.copy) {
      const place = relative(build.baseDir, path);
      await cp(path, join(handler, place.startsWith('..') ? basename(path) : place), { recursive: true });
    }
    await runDocker(commandOf(image, build, context, packagesOf(build, template)), env, signal);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** Words of the command that builds; pure. */
export function commandOf(
  image: string,
  build: Pick<ImageBuild, 'args' | 'secrets' | 'platforms'>,
  context: string,
  packages: readonly string[],
): string[] {
  const args = { ...build.args, ...(packages.length === 0 ? {} : { ADDITIONAL_PACKAGE: packages.join(' ') }) };
  return [
    'build',
    '--tag',
    image,
    ...(build.platforms === undefined ? [] : ['--platform', build.platforms]),
    ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ...Object.entries(build.secrets).flatMap(([id, path]) => ['--secret', `id=${id},src=${path}`]),
    context,
  ];
}

function packagesOf(build: ImageBuild, template: Template): string[] {
  return build.options.flatMap((option) => {
    const packages = template.packages.get(option);
    if (packages) return packages;
    throw new CliError('INPUT_INVALID', `the template "${build.lang}" has no build option "${option}"`);
  });
}

async function readTemplate(build: ImageBuild): Promise<Template> {
  const dir = join(build.baseDir, 'template', build.lang);
  const text = await readFile(join(dir, 'template.yml'), 'utf8').catch(() => undefined);
  if (text === undefined) {
    throw new CliError(
      'INPUT_INVALID',
      `the template "${build.lang}" is not there: put it into ${dir}, or build the image with the tools you have`,
    );
  }
  const content: unknown = parse(text);
  const said = typeof content === 'object' && content !== null ? (content as Readonly<Record<string, unknown>>) : {};
  const options = Array.isArray(said['build_options']) ? (said['build_options'] as unknown[]) : [];
  return {
    dir,
    handlerFolder: typeof said['handler_folder'] === 'string' ? said['handler_folder'] : DEFAULT_HANDLER_FOLDER,
    packages: new Map(
      options.flatMap((option) => {
        if (typeof option !== 'object' || option === null) return [];
        const { name, packages } = option as Readonly<Record<string, unknown>>;
        return typeof name === 'string' && Array.isArray(packages) ? [[name, packages.map(String)] as const] : [];
      }),
    ),
  };
}

async function runDocker(words: readonly string[], env: BuildImageOptions['env'], signal: AbortSignal): Promise<void> {
  // Secrets of a build are known to the newer builder alone.
  const builder = words.includes('--secret') ? { DOCKER_BUILDKIT: '1' } : {};
  try {
    await runProgram('docker', words, { env: { ...env, ...builder }, signal });
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    // Not with its arguments: those of a build may be secret.
    const what = error.isMissing ? error.message : `"docker ${words[0]}" failed`;
    throw new CliError('BUILD_FAILED', what, { cause: error.cause, logs: error.lines });
  }
}
