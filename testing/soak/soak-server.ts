import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEbbClient, type EbbClient } from '@ebb/sdk';
import { runProgram } from '../harness/run-program.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const EBB = path.join(ROOT, 'packages/cli/bin/ebb.mjs');
const START_MS = 60_000;

/** How the server of a soak is started. */
export interface SoakServerOptions {
  readonly engine: 'process' | 'docker';
  readonly gateways: number;
}

/** A real server, and every successor it has had. */
export interface SoakServer extends AsyncDisposable {
  readonly url: string;
  readonly client: EbbClient;
  /** Runs `ebb` against it; throws with all it printed when it fails. */
  ebb(...args: readonly string[]): Promise<void>;
  /** Has a successor take over; the old process ends by itself. */
  takeOver(): Promise<void>;
}

interface ServerFile {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
}

/** Starts `ebb up` on a free port with a data directory of its own; its log is kept beside it until it is disposed. */
export async function startSoakServer({ engine, gateways }: SoakServerOptions): Promise<SoakServer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'ebb-soak-'));
  const env = {
    PATH: process.env['PATH'],
    HOME: directory,
    EBB_LISTEN: '127.0.0.1:0',
    EBB_METRICS_LISTEN: 'off',
    EBB_DATA_DIR: path.join(directory, 'data'),
    EBB_ENGINE: engine,
    EBB_GATEWAYS: String(gateways),
    NO_COLOR: '1',
  };
  const log: WriteStream = createWriteStream(path.join(directory, 'log'));
  const children: ChildProcess[] = [];
  let file: ServerFile;

  const up = async (...args: readonly string[]): Promise<void> => {
    const child = spawn(process.execPath, [EBB, 'up', ...args], {
      cwd: directory,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    const until = performance.now() + START_MS;
    while (performance.now() < until) {
      const text = await readFile(path.join(directory, 'data/server.json'), 'utf8').catch(() => '');
      const found = text === '' ? undefined : (JSON.parse(text) as ServerFile);
      if (found?.pid === child.pid) {
        file = found as ServerFile;
        return;
      }
      if (child.exitCode !== null) break;
      await sleep(20);
    }
    throw new Error(`the server did not come up:\n${await readFile(path.join(directory, 'log'), 'utf8')}`);
  };
  const dispose = async (): Promise<void> => {
    await Promise.all(children.map((child) => endChild(child)));
    log.end();
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  };
  try {
    await up();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    get url() {
      return file.url;
    },
    get client() {
      return createEbbClient({ url: file.url, token: file.token });
    },
    async ebb(...args) {
      const { code, stdout, stderr } = await runProgram(process.execPath, [EBB, ...args], { cwd: ROOT, env });
      if (code !== 0) throw new Error(`ebb ${args.join(' ')} ended with ${code}:\n${stdout.toString()}${stderr}`);
    },
    takeOver: () => up('--takeover'),
    [Symbol.asyncDispose]: dispose,
  };
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(timer);
}
