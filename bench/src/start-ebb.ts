import { readFileSync } from 'node:fs';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEbbClient, type EbbClient } from '@ebb/sdk';
import type { FunctionSpecInput } from '@ebb/contract';

/** A server under measurement. */
export interface MeasuredEbb extends AsyncDisposable {
  readonly url: string;
  /** For clients on this machine. */
  readonly token: string;
  readonly pid: number;
  readonly dataDir: string;
  readonly client: EbbClient;
  /** Uploads a directory and returns the digest of its code. */
  upload(directory: string): Promise<string>;
  deploy(name: string, code: string, spec?: Partial<FunctionSpecInput>, probe?: boolean): Promise<void>;
}

/** Where everything is deployed. */
export const NAMESPACE = 'openfaas-fn';
/** The command line. */
export const EBB = fileURLToPath(new URL('../../packages/cli/bin/ebb.mjs', import.meta.url));

/** The sockets of a function's instances on the process engine. */
export async function instanceSockets(ebb: MeasuredEbb, name: string): Promise<string[]> {
  const installation = readFileSync(join(ebb.dataDir, 'installation'), 'utf8').trim();
  const instances = await ebb.client.functions.instances({ namespace: NAMESPACE, name });
  return instances.map(({ id }) => `/dev/shm/ebb-${installation}/i/${id}/s/sock`);
}

/** The directory of one of the functions under `bench/functions/`. */
export function functionDir(name: string): string {
  return fileURLToPath(new URL(`../functions/${name}`, import.meta.url));
}

/** Starts a server with an empty data directory on free ports, with settings beside the defaults. */
export async function startEbb(
  engine: 'process' | 'docker',
  settings: Readonly<Record<string, string>> = {},
  nodeOptions: readonly string[] = [],
): Promise<MeasuredEbb> {
  const dataDir = await mkdtemp('/tmp/ebb-bench-');
  const child = spawn(process.execPath, [...nodeOptions, EBB, 'up', '--quiet'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      EBB_LISTEN: '127.0.0.1:0',
      EBB_METRICS_LISTEN: 'off',
      EBB_DATA_DIR: dataDir,
      EBB_ENGINE: engine,
      EBB_LOG_LEVEL: 'warn',
      ...settings,
    },
  });
  const killChild = () => child.kill();
  process.once('exit', killChild);
  const ready = await serverFile(dataDir, () => child.exitCode ?? child.signalCode);
  const client = createEbbClient({ url: ready.url, token: ready.token });
  return {
    url: ready.url,
    token: ready.token,
    pid: child.pid ?? 0,
    dataDir,
    client,
    upload: async (directory) => {
      const archive = execFileSync('tar', ['-C', directory, '-cf', '-', '.']);
      const response = await fetch(`${ready.url}/v1/namespaces/${NAMESPACE}/code`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ready.token}`, 'content-type': 'application/x-tar' },
        body: archive,
      });
      if (!response.ok) throw new Error(await response.text());
      return ((await response.json()) as { digest: string }).digest;
    },
    deploy: async (name, code, spec = {}, probe = true) => {
      const response = await fetch(`${ready.url}/v1/namespaces/${NAMESPACE}/functions/${name}?probe=${probe}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${ready.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ spec: { runtime: 'node', ...spec }, code }),
      });
      if (!response.ok) throw new Error(await response.text());
    },
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      process.off('exit', killChild);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** What the server wrote for clients on the same machine, once it is ready. */
async function serverFile(
  dataDir: string,
  ending: () => number | string | null,
): Promise<{ url: string; token: string }> {
  for (;;) {
    const text = await readFile(join(dataDir, 'server.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) return JSON.parse(text) as { url: string; token: string };
    if (ending() !== null) throw new Error(`the server ended with ${ending()} before it was ready`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
