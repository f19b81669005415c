import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { createEbbClient, type EbbClient } from '@ebb/sdk';
import { inject } from 'vitest';
import { removeInstances } from './docker-instances.ts';
import type { EngineName } from './engines.ts';
import { findProcesses } from './find-processes.ts';
import { type ProgramOptions, type ProgramResult, runProgram } from './run-program.ts';

/** Root of the repository. */
export const ROOT = path.join(import.meta.dirname, '../..');
const EBB = path.join(ROOT, 'packages/cli/bin/ebb.mjs');
const START_TIMEOUT_MS = 30_000;

/** How a server for a test is started. */
export interface TestServerOptions {
  readonly engine: EngineName;
  /** Further arguments of `ebb up`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A program to run in place of `ebb up`. */
  readonly program?: string;
  /** Gives the data directory a file system of its own of this size in memory, such as `16m`; takes root. */
  readonly dataSize?: string;
}

/** Whether {@link TestServerOptions.dataSize} can be had here. */
export function canMount(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;
}

/** What a running server wrote about itself. */
export interface ServerFile {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
  readonly installation: string;
  /** Address of the metrics port; absent while metrics are off. */
  readonly metricsUrl?: string;
}

/** A server whose place another has taken. */
export interface Replaced {
  readonly pid: number;
  /** Resolves with its exit code. */
  readonly exited: Promise<number | null>;
}

/** A real server in a process of its own with a data directory of its own; disposing ends and removes everything. */
export interface TestServer extends AsyncDisposable {
  readonly dataDir: string;
  /** What the data directory says of the server that ran last. */
  readonly file: ServerFile;
  /** Address of the gateway, without a trailing slash. */
  readonly url: string;
  /** A client that needs no login. */
  readonly client: EbbClient;
  /** Everything the server printed since it was started, standard error included. */
  output(): string;
  /** Address of a function and a path in it. */
  functionUrl(name: string, rest?: string): string;
  /** Runs `ebb` against this server. */
  ebb(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
  /** Runs `ebb` and throws with all it printed when it fails. */
  ebbOk(args: readonly string[], options?: ProgramOptions): Promise<string>;
  /** Starts the server again on the same data directory. */
  start(): Promise<void>;
  /**
   * Starts a successor that takes over from the server; resolves when it serves, with what tells how the old one ended.
   */
  takeOver(args?: readonly string[]): Promise<Replaced>;
  /** Sends SIGTERM and resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Kills the server with SIGKILL. */
  kill(): Promise<void>;
  /** Resolves when the server has ended, whyever. */
  ended(): Promise<void>;
}

/** Starts `ebb up` on a free port of the loopback interface and waits until it serves. */
export async function startTestServer(options: TestServerOptions): Promise<TestServer> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'ebb-e2e-'));
  const socket = inject('dockerSocket');
  const env: NodeJS.ProcessEnv = {
    ...clean(process.env),
    HOME: dataDir,
    // Compiling the sources anew takes each process half a second.
    XDG_CACHE_HOME: path.join(ROOT, 'node_modules/.cache'),
    EBB_LISTEN: '127.0.0.1:0',
    EBB_METRICS_LISTEN: 'off',
    EBB_DATA_DIR: path.join(dataDir, 'data'),
    EBB_ENGINE: options.engine,
    ...(socket === undefined ? {} : { EBB_DOCKER_SOCKET: socket }),
    NO_COLOR: '1',
    ...options.env,
  };
  if (options.dataSize !== undefined) {
    await mkdir(path.join(dataDir, 'data'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${options.dataSize}`, 'none', path.join(dataDir, 'data')]);
  }
  const installations = new Set<string>();
  let child: ChildProcess;
  let printed = '';
  let file: ServerFile;

  const replaced: ChildProcess[] = [];

  const start = async (...more: readonly string[]): Promise<void> => {
    const program = options.program === undefined ? [EBB, 'up'] : [options.program];
    child = spawn(process.execPath, [...program, ...(options.args ?? []), ...more], {
      cwd: dataDir,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
      });
    }
    file = await waitForFile(child, path.join(dataDir, 'data/server.json'), () => printed);
    installations.add(file.installation);
  };
  const end = (signal: NodeJS.Signals): Promise<number | null> => endOf(child, signal);
  const ebb: TestServer['ebb'] = (args, run = {}) =>
    runProgram(process.execPath, [EBB, ...args], { cwd: ROOT, ...run, env: { ...env, ...run.env } });

  const server: TestServer = {
    dataDir,
    get file() {
      return file;
    },
    get url() {
      return file.url;
    },
    get client() {
      return createEbbClient({ url: file.url, token: file.token });
    },
    output: () => printed,
    functionUrl: (name, rest = '') => `${file.url}/function/${name}.${DEFAULT_NAMESPACE}${rest}`,
    ebb,
    async ebbOk(args, run) {
      const result = await ebb(args, run);
      if (result.code === 0) return result.stdout.toString();
      throw new Error(
        `ebb ${args.join(' ')} ended with ${result.code}:\n${result.stdout.toString()}${result.stderr}\nserver: ${printed}`,
      );
    },
    start: () => {
      printed = '';
      return start();
    },
    async takeOver(args = []) {
      const old = child;
      replaced.push(old);
      const exited = new Promise<number | null>((resolve) => old.once('exit', resolve));
      await start('--takeover', ...args);
      return { pid: old.pid ?? 0, exited };
    },
    stop: () => end('SIGTERM'),
    kill: async () => {
      await end('SIGKILL');
    },
    ended: async () => {
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
    async [Symbol.asyncDispose]() {
      // Those that were replaced first: what they still have is nobody else's.
      const ending = async (): Promise<void> => {
        await Promise.all(replaced.map((old) => endOf(old, 'SIGTERM')));
        await end('SIGTERM');
      };
      await Promise.race([ending(), sleep(20_000, undefined, { ref: false })]);
      await Promise.all([...replaced, child].map((one) => endOf(one, 'SIGKILL')));
      if (options.engine === 'docker' && socket !== undefined) await removeInstances(socket, installations);
      // What a server that was killed leaves to the next one, which there is none of any more.
      for (const pid of await findProcesses('EBB_SOCKET=', dataDir)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended by itself.
        }
      }
      if (options.dataSize !== undefined) execFileSync('umount', ['--lazy', path.join(dataDir, 'data')]);
      await rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    },
  };
  try {
    await start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill(signal);
  return ended;
}

/** The environment without what would steer a server or a client. */
function clean(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(?:EBB_|FORCE_COLOR$|VITEST|NODE_OPTIONS$)/.test(name)),
  );
}

async function waitForFile(child: ChildProcess, file: string, output: () => string): Promise<ServerFile> {
  const until = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < until) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the server ended with ${child.exitCode ?? child.signalCode}:\n${output()}`);
    }
    const text = await readFile(file, 'utf8').catch(() => '{}');
    const found = JSON.parse(text === '' ? '{}' : text) as ServerFile;
    if (found.pid === child.pid) return found;
    await sleep(20);
  }
  throw new Error(`the server did not come up in time:\n${output()}`);
}
