import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DebianProgram } from './debian-programs.ts';
import { freePort } from './free-port.ts';

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;

/** A program with an HTTP interface of a test's own; disposing ends it and removes what it kept. */
export interface WebService extends AsyncDisposable {
  /** Address without a trailing slash, on the loopback interface. */
  readonly url: string;
  readonly port: number;
  /** Everything the program printed. */
  log(): Promise<string>;
}

/** What {@link startWebService} starts. */
export interface WebServiceOptions {
  readonly program: DebianProgram;
  /** Path that answers 200 once the program serves. */
  readonly readyPath: string;
  /** Arguments for a port and the directory, in which `data/` is there for what the program keeps. */
  readonly args: (port: number, directory: string) => readonly string[];
  /** Files of the directory, by name. */
  readonly files: (port: number, directory: string) => Readonly<Record<string, string>>;
}

/** Starts a program on a free port with a directory of its own. Throws with its last words when it does not serve. */
export async function startWebService(options: WebServiceOptions): Promise<WebService> {
  const directory = await mkdtemp(join(tmpdir(), `ebb-${options.program}-`));
  const logFile = join(directory, 'log');
  let child: ChildProcess | undefined;
  const dispose = async () => {
    if (child) await end(child);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const port = await freePort();
    await mkdir(join(directory, 'data'));
    for (const [name, text] of Object.entries(options.files(port, directory))) {
      await writeFile(join(directory, name), text);
    }
    const log = await open(logFile, 'a');
    child = spawn(options.program, options.args(port, directory), {
      cwd: directory,
      stdio: ['ignore', log.fd, log.fd],
    });
    await log.close();
    const url = `http://127.0.0.1:${port}`;
    await untilReady(child, `${url}${options.readyPath}`, logFile);
    return { url, port, log: () => readFile(logFile, 'utf8'), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function untilReady(child: ChildProcess, url: string, logFile: string): Promise<void> {
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  const until = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < until && isRunning(child) && !failure) {
    const isReady = await fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
      async (answer) => {
        await answer.arrayBuffer();
        return answer.status === 200;
      },
      () => false,
    );
    // Another program may have taken the port meanwhile, and then this one has ended.
    if (isReady && isRunning(child)) return;
    await sleep(50);
  }
  const log = await readFile(logFile, 'utf8').catch(() => '');
  throw new Error(`${url} does not answer: ${log.trim().split('\n').slice(-5).join('\n')}`, { cause: failure });
}

async function end(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
