import { relative } from 'node:path';
import { createGzip } from 'node:zlib';
import { formatBytes, formatDuration } from '@ebb/contract';
import { type DeployResult, EbbApiError, type EbbClient } from '@ebb/sdk';
import { CliError } from '../core/cli-error.ts';
import { type DigestCache, digestFiles } from '../packing/digest-files.ts';
import { type CodeFile, listFiles } from '../packing/list-files.ts';
import { packFiles } from '../packing/pack-files.ts';
import type { StartTask, Task } from '../terminal/progress.ts';
import { installCommand, installDependencies, needsInstall } from './install-dependencies.ts';
import type { Target } from './target.ts';

/** Code the server is known to have, so that nothing is sent twice, and digests of files by directory. */
export interface UploadMemory {
  readonly present: Set<string>;
  readonly caches: Map<string, DigestCache>;
}

/** Makes an empty memory. */
export function createUploadMemory(): UploadMemory {
  return { present: new Set(), caches: new Map() };
}

/** What a deploy needs. */
export interface DeployOptions {
  readonly client: EbbClient;
  readonly startTask: StartTask;
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly memory: UploadMemory;
  /** Whether missing dependencies are installed first. */
  readonly install: boolean;
  /** Whether the server starts an instance and waits for it before the version serves. */
  readonly probe: boolean;
  /** Whether the version gets calls; else it is stored only. */
  readonly serve: boolean;
}

/** What a deploy came to. */
export interface Deployed {
  readonly resource: DeployResult;
  readonly url: string;
  readonly tookMs: number;
}

/** Installs, uploads and deploys one function, and waits until it serves. */
export async function deployTarget(target: Target, options: DeployOptions): Promise<Deployed> {
  const startedAt = performance.now();
  const { name } = target.ref;
  if (target.codeDir !== undefined && options.install) await install(name, target.codeDir, options);
  const task = await options.startTask(`${name}: deploying`);
  try {
    const resource = await send(target, task, options).catch((error: unknown) => {
      if (!(error instanceof EbbApiError) || error.code !== 'CODE_NOT_FOUND') throw error;
      // What the server had a while ago was swept meanwhile.
      options.memory.present.clear();
      return send(target, task, options);
    });
    task.done();
    return { resource, url: `${options.client.url}${resource.path}`, tookMs: performance.now() - startedAt };
  } catch (error) {
    task.failed();
    throw error;
  }
}

async function send(
  { ref, spec, codeDir, rollout }: Target,
  task: Task,
  options: DeployOptions,
): Promise<DeployResult> {
  const code = codeDir === undefined ? undefined : await upload(ref.name, ref.namespace, codeDir, task, options);
  task.update(`${ref.name}: starting`);
  return options.client.functions.deploy(
    ref,
    { spec, ...(code === undefined ? {} : { code }), ...(rollout === undefined ? {} : { rollout }) },
    {
      signal: options.signal,
      ...(options.probe ? {} : { probe: false }),
      ...(options.serve ? {} : { serve: false }),
    },
  );
}

async function install(name: string, directory: string, options: DeployOptions): Promise<void> {
  if (!(await needsInstall(directory))) return;
  const where = relative(options.cwd, directory) || '.';
  const task = await options.startTask(
    `${name}: installing dependencies (npm ${installCommand(directory)[0]} in ${where})`,
  );
  const startedAt = performance.now();
  try {
    await installDependencies(directory, options);
    task.done(`${name}: installed dependencies in ${formatDuration(performance.now() - startedAt)}`);
  } catch (error) {
    task.failed();
    throw error;
  }
}

/** Files of a code directory and their digest. Throws INPUT_INVALID, FILE_FAILED. */
export async function readCode(
  directory: string,
  memory: UploadMemory,
): Promise<{ readonly files: readonly CodeFile[]; readonly digest: string }> {
  const files = listFiles(directory);
  if (files.length === 0) throw new CliError('INPUT_INVALID', `the code directory ${directory} has no files`);
  const cache = memory.caches.get(directory) ?? new Map();
  memory.caches.set(directory, cache);
  return { files, digest: await digestFiles(files, cache) };
}

/** Uploads the code unless the server is known to have it; returns the server's digest. */
async function upload(
  name: string,
  namespace: string,
  directory: string,
  task: Task,
  options: DeployOptions,
): Promise<string> {
  const { memory, client, signal } = options;
  const { files, digest: expected } = await readCode(directory, memory);
  if (memory.present.has(presentKey(namespace, expected))) return expected;
  const archive = packFiles(files, progressOf(name, files, task));
  const { digest } = isLoopback(client.url)
    ? await client.code.upload(namespace, archive, 'tar', { signal })
    : await client.code.upload(namespace, compressed(archive), 'tar.gz', { signal });
  memory.present.add(presentKey(namespace, digest));
  return digest;
}

/** Names code of a namespace in an {@link UploadMemory}. */
export function presentKey(namespace: string, digest: string): string {
  return `${namespace} ${digest}`;
}

function progressOf(name: string, files: readonly CodeFile[], task: Task): (bytes: number) => void {
  const total = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  let sent = 0;
  return (bytes) => {
    sent += bytes;
    const percent = total === 0 ? 100 : Math.floor((sent / total) * 100);
    task.update(`${name}: uploading ${formatBytes(sent)} of ${formatBytes(total)} (${percent} %)`);
  };
}

/** Over a network compressing pays; on one host it only costs time. */
function compressed(archive: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const gzip = createGzip({ level: 6 });
  void (async () => {
    try {
      for await (const chunk of archive) {
        if (!gzip.write(chunk)) await new Promise((resolve) => gzip.once('drain', resolve));
      }
      gzip.end();
    } catch (error) {
      gzip.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  })();
  return gzip;
}

function isLoopback(url: string): boolean {
  const host = URL.parse(url)?.hostname ?? '';
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}
