import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { installPackages, isInstalled } from './docker.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);

/** EBB_TEST_NATS_SERVER names another program, of another version for instance. */
const PROGRAM = process.env['EBB_TEST_NATS_SERVER'] || 'nats-server';

/** A NATS server of a test's own, with JetStream in a directory that outlives its process. */
export interface NatsService extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Ends the process with SIGKILL and waits for that. */
  kill(): Promise<void>;
  /** Starts it again on the same port and directory, with other options where some are given. */
  start(changed?: Pick<NatsOptions, 'maxStoreBytes'>): Promise<void>;
  /** Holds the process up, so that it neither answers nor closes connections. */
  freeze(): void;
  thaw(): void;
}

/** What a {@link NatsService} is started with. */
export interface NatsOptions {
  /** Most bytes that JetStream may store. Default: 256 MiB. */
  readonly maxStoreBytes?: number;
  /** Largest message. Default: the server's own, 1 MiB. */
  readonly maxPayloadBytes?: number;
  readonly user?: string;
  readonly password?: string;
  /** Default: true. */
  readonly jetstream?: boolean;
  /** Whether each message is written to the disk before it is acknowledged, where the server can: from 2.10 on. */
  readonly syncAlways?: boolean;
}

/** Makes sure that `nats-server` can be run; root installs Debian's where it is missing. Returns why not, if so. */
export async function ensureNats(): Promise<string | undefined> {
  if (await isInstalled(PROGRAM)) return undefined;
  if (process.getuid?.() !== 0) return `${PROGRAM} is not installed, and only root can install it`;
  if (!(await isInstalled('apt-get'))) return `${PROGRAM} is not installed, and there is no apt-get to install it with`;
  try {
    await installPackages(['nats-server']);
    return undefined;
  } catch (error) {
    return `Debian's nats-server cannot be installed: ${String(error)}`;
  }
}

/** Starts a NATS server on a free port of the loopback interface. */
export async function startNats(options: NatsOptions = {}): Promise<NatsService> {
  const directory = await mkdtemp(join(tmpdir(), 'ebb-nats-'));
  const port = await freePort();
  await mkdir(join(directory, 'store'));
  const { stdout } = await run(PROGRAM, ['--version']);
  const syncAlways = options.syncAlways === true && !stdout.includes('v2.9.');
  let running: ChildProcess | undefined;

  const start = async (changed: Pick<NatsOptions, 'maxStoreBytes'> = {}) => {
    await writeFile(join(directory, 'nats.conf'), configOf(directory, port, { ...options, ...changed, syncAlways }));
    const log = await open(join(directory, 'nats.log'), 'a');
    const child = spawn(PROGRAM, ['-c', join(directory, 'nats.conf')], { stdio: ['ignore', log.fd, log.fd] });
    await log.close();
    running = child;
    await untilReady(child, port, directory);
  };
  const kill = async () => {
    const child = running;
    running = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  const dispose = async () => {
    await kill();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  const credentials = options.user === undefined ? '' : `${options.user}:${options.password ?? ''}@`;
  return {
    url: `nats://${credentials}127.0.0.1:${port}`,
    port,
    start,
    kill,
    freeze: () => running?.kill('SIGSTOP'),
    thaw: () => running?.kill('SIGCONT'),
    [Symbol.asyncDispose]: dispose,
  };
}

function configOf(directory: string, port: number, options: NatsOptions): string {
  const { maxStoreBytes = 2 ** 28, maxPayloadBytes, user, password = '', jetstream = true, syncAlways } = options;
  const sync = syncAlways ? ', sync_interval: always' : '';
  return [
    `listen: "127.0.0.1:${port}"`,
    ...(jetstream
      ? [`jetstream { store_dir: "${directory}/store", max_mem: 16MB, max_file: ${maxStoreBytes}${sync} }`]
      : []),
    ...(maxPayloadBytes === undefined ? [] : [`max_payload: ${maxPayloadBytes}`]),
    ...(user === undefined ? [] : [`authorization { user: ${user}, password: "${password}" }`]),
    '',
  ].join('\n');
}

async function untilReady(child: ChildProcess, port: number, directory: string): Promise<void> {
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  const until = performance.now() + 20_000;
  while (performance.now() < until && child.exitCode === null && !failure) {
    if (await greets(port)) return;
    await sleep(20);
  }
  child.kill('SIGKILL');
  const log = await readFile(join(directory, 'nats.log'), 'utf8').catch(() => '');
  throw new Error(`nats-server does not answer: ${log.trim().split('\n').slice(-3).join('\n')}`, { cause: failure });
}

/** Whether a NATS server says hello behind a port. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1000 });
    const end = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.on('data', (chunk) => end(chunk.toString('latin1').startsWith('INFO ')));
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
  });
}
