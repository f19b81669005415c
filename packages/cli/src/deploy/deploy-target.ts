import { relative } from 'node:path';
import { createGzip } from 'node:zlib';
import { formatBytes, formatDuration } from '@ebb/contract';
import type { DeployResult, EbbClient } from '@ebb/sdk';
import { CliError } from '../core/cli-error.ts';
import { type DigestCache, digestFiles } from '../packing/digest-files.ts';
import { type CodeFile, listFiles } from '../packing/list-files.ts';
import { packFiles } from '../packing/pack-files.ts';
import type { StartTask, Task } from '../terminal/progress.ts';
import { installCommand, installDependencies, needsInstall } from './install-dependencies.ts';
import type { Target } from './target.ts';

/** Code that was uploaded in this run of `ebb`, by directory and namespace, so that nothing is sent twice. */
export interface UploadMemory {
  readonly uploads: Map<string, { readonly localDigest: string; readonly digest: string }>;
  readonly caches: Map<string, DigestCache>;
}

/** Makes an empty memory. */
export function createUploadMemory(): UploadMemory {
  return { uploads: new Map(), caches: new Map() };
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
  const { name, namespace } = target.ref;
  if (target.codeDir !== undefined && options.install) await install(name, target.codeDir, options);
  const task = await options.startTask(`${name}: deploying`);
  try {
    const code =
      target.codeDir === undefined ? undefined : await upload(name, namespace, target.codeDir, task, options);
    task.update(`${name}: starting`);
    const resource = await options.client.functions.deploy(
      target.ref,
      {
        spec: target.spec,
        ...(code === undefined ? {} : { code }),
        ...(target.rollout === undefined ? {} : { rollout: target.rollout }),
      },
      { signal: options.signal, ...(options.probe ? {} : { probe: false }) },
    );
    task.done();
    return { resource, url: `${options.client.url}${resource.path}`, tookMs: performance.now() - startedAt };
  } catch (error) {
    task.failed();
    throw error;
  }
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

/** Uploads the code unless the very same was uploaded in this run; returns the server's digest. */
async function upload(
  name: string,
  namespace: string,
  directory: string,
  task: Task,
  options: DeployOptions,
): Promise<string> {
  const { memory, client, signal } = options;
  const files = listFiles(directory);
  if (files.length === 0) throw new CliError('INPUT_INVALID', `the code directory ${directory} has no files`);
  const cache = memory.caches.get(directory) ?? new Map();
  memory.caches.set(directory, cache);
  const key = `${namespace} ${directory}`;
  const localDigest = await digestFiles(files, cache);
  const known = memory.uploads.get(key);
  if (known?.localDigest === localDigest) return known.digest;
  const archive = packFiles(files, progressOf(name, files, task));
  const { digest } = isLoopback(client.url)
    ? await client.code.upload(namespace, archive, 'tar', { signal })
    : await client.code.upload(namespace, compressed(archive), 'tar.gz', { signal });
  memory.uploads.set(key, { localDigest, digest });
  return digest;
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
