import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { DEFAULT_NAMESPACE, type FunctionName } from '@ebb/contract';
import { CliError } from '../core/cli-error.ts';
import type { CommandContext, Connection } from '../core/command.ts';
import { connectTo } from '../core/connect.ts';
import { createUploadMemory, deployTarget } from '../deploy/deploy-target.ts';
import { findManifest, isDirectory, loadTargets } from '../deploy/load-targets.ts';
import type { Target } from '../deploy/target.ts';
import { SILENT_TASK } from '../terminal/progress.ts';

/** A function that runs on a server of its own. */
export interface LocalFunction {
  readonly connection: Connection;
  readonly ref: FunctionName;
}

/** Which code is run. */
export interface LocalOptions {
  readonly directory: string;
  /** The function's name; of the functions in the directory's `ebb.yaml` the one that is meant. */
  readonly name: string;
  readonly context: CommandContext;
}

/**
 * Runs the code of a directory on a server in this process, as a deploy would: same runtime, same headers, limits and
 * environment, as plain processes. Everything of it is gone when `use` is done. Throws USAGE, MANIFEST_INVALID,
 * FILE_FAILED, and what a deploy throws.
 */
export async function withLocalFunction(
  options: LocalOptions,
  use: (local: LocalFunction) => Promise<void>,
): Promise<void> {
  const { context } = options;
  const target = await targetOf(options);
  const task = await context.startTask(`${target.ref.name}: starting the code here`);
  const dataDir = await mkdtemp(join(tmpdir(), 'ebb-local-'));
  await using made = new AsyncDisposableStack();
  made.defer(() => rm(dataDir, { recursive: true, force: true }));
  try {
    const { startServer } = await import('@ebb/server');
    const server = made.use(
      await startServer({
        flags: {
          dataDir,
          listen: '127.0.0.1:0',
          metricsListen: 'off',
          engine: 'process',
          poolSize: '0',
          logLevel: 'error',
        },
        // Settings of a server that this person may run elsewhere are not this one's.
        env: {},
        version: context.version,
      }),
    );
    const connection = await connectTo({ url: server.url, token: server.localToken }, { keepAlive: false });
    await deployTarget(target, {
      client: connection.client,
      startTask: () => Promise.resolve(SILENT_TASK),
      signal: context.signal,
      env: context.env,
      cwd: context.cwd,
      memory: createUploadMemory(),
      install: true,
      probe: true,
      serve: true,
    });
    task.done();
    await use({ connection, ref: target.ref });
  } catch (error) {
    task.failed();
    throw error;
  }
}

/** The function that is meant, without what only exists where it is deployed. */
async function targetOf({ directory, name, context }: LocalOptions): Promise<Target> {
  const { cwd, env, output } = context;
  const shown = relative(cwd, directory) || '.';
  if (!isDirectory(directory)) throw new CliError('USAGE', `"--local" is "${shown}" but must be a directory with code`);
  const manifest = findManifest(directory);
  const listed = manifest === undefined ? [] : await loadTargets(manifest, { cwd, env, namespace: DEFAULT_NAMESPACE });
  const found = listed.find((target) => target.ref.name === name) ?? (listed.length === 1 ? listed[0] : undefined);
  if (listed.length > 0 && found === undefined) {
    const names = listed.map((target) => target.ref.name).join(', ');
    throw new CliError('USAGE', `the ebb.yaml in ${shown} has no function "${name}", only ${names}`);
  }
  const { spec, codeDir } = found ?? { spec: { runtime: 'node' as const }, codeDir: directory };
  if (codeDir === undefined) throw new CliError('USAGE', `"${name}" is an image; --local runs code of a runtime only`);
  const { secrets = [], async: _async, ...rest } = spec;
  if (secrets.length > 0) output.warn(`it runs without the secrets ${secrets.join(', ')}, which only the server has`);
  return { ref: { namespace: DEFAULT_NAMESPACE, name }, spec: rest, codeDir };
}
