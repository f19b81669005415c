import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { CliError } from '../core/cli-error.ts';
import { ProgramError, runProgram } from '../core/run-program.ts';

/** Whether a code directory names dependencies that are not there. */
export async function needsInstall(directory: string): Promise<boolean> {
  if (existsSync(join(directory, 'node_modules'))) return false;
  const path = join(directory, 'package.json');
  if (!existsSync(path)) return false;
  try {
    const manifest: unknown = JSON.parse(await readFile(path, 'utf8'));
    const dependencies =
      typeof manifest === 'object' && manifest !== null && 'dependencies' in manifest
        ? manifest.dependencies
        : undefined;
    return typeof dependencies === 'object' && dependencies !== null && Object.keys(dependencies).length > 0;
  } catch (error) {
    throw new CliError('INPUT_INVALID', `${path} is not valid JSON`, { cause: error });
  }
}

/** The npm command that fits a code directory: exactly what is locked where there is a lock. */
export function installCommand(directory: string): readonly string[] {
  const verb = existsSync(join(directory, 'package-lock.json')) ? 'ci' : 'install';
  return [verb, '--omit=dev', '--no-audit', '--no-fund'];
}

/** What an installation needs to know. */
export interface InstallOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Installs the dependencies of a code directory with npm. Throws INSTALL_FAILED with npm's last lines. */
export async function installDependencies(directory: string, options: InstallOptions): Promise<void> {
  const words = installCommand(directory);
  const { signal } = options;
  try {
    await runProgram('npm', words, { cwd: directory, env: environment(options.env), signal });
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    throw new CliError(
      'INSTALL_FAILED',
      `"npm ${words.join(' ')}" failed in ${directory}; --no-install leaves it out`,
      { cause: error.cause, logs: error.lines },
    );
  }
}

/** npm runs under our Node, and hears nothing of an npm that may have started us for another package. */
function environment(env: InstallOptions['env']): Record<string, string | undefined> {
  const kept = Object.entries(env).filter(
    ([name]) => !/^npm_(package_|lifecycle_|command$|config_local_prefix$|config_prefix$)/i.test(name),
  );
  return { ...Object.fromEntries(kept), PATH: `${dirname(process.execPath)}${delimiter}${env['PATH'] ?? ''}` };
}
