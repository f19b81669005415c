import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A Docker daemon that tests may use. */
export interface DockerService extends AsyncDisposable {
  readonly socketPath: string;
}

/** A daemon of a test's own, which may be stopped, killed and stuck at will. */
export interface PrivateDocker extends DockerService {
  /** Process id of the daemon that runs now. */
  readonly pid: number;
  /** Ends the daemon with a signal and starts it again on the same data; its containers die. */
  restart(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

const SYSTEM_SOCKET = '/var/run/docker.sock';
/** Kept between runs, so that base images are made once a machine. */
const SHARED_DIRECTORY = '/var/tmp/ebb-test-docker';

/**
 * A Docker daemon for tests: the one EBB_TEST_DOCKER_SOCKET names, else the machine's, else one that is started here
 * (as root on Linux, after installing Debian's `docker.io` where it is missing). Says why when there is none.
 */
export async function startDocker(): Promise<DockerService | { readonly unavailable: string }> {
  const named = process.env['EBB_TEST_DOCKER_SOCKET'];
  if (named) {
    return (await answers(named)) ? borrowed(named) : { unavailable: `no Docker daemon answers at ${named}` };
  }
  if (await answers(SYSTEM_SOCKET)) return borrowed(SYSTEM_SOCKET);
  const obstacle = await installDocker();
  if (obstacle !== undefined) return { unavailable: obstacle };
  const shared = join(SHARED_DIRECTORY, 'docker.sock');
  if (await answers(shared)) return borrowed(shared);
  await mkdir(SHARED_DIRECTORY, { recursive: true, mode: 0o700 });
  return launch({ directory: SHARED_DIRECTORY, isPrivate: false });
}

/**
 * Starts a daemon with nothing in it, in a network namespace of its own, so that it cannot disturb another daemon's
 * packet rules; its containers can be reached over unix sockets only.
 */
export async function startPrivateDocker(): Promise<PrivateDocker | { readonly unavailable: string }> {
  const obstacle = await installDocker();
  if (obstacle !== undefined) return { unavailable: obstacle };
  // Not below /tmp, which may be a small file system in memory.
  return launch({ directory: await mkdtemp('/var/tmp/ebb-docker-'), isPrivate: true });
}

function borrowed(socketPath: string): DockerService {
  return { socketPath, [Symbol.asyncDispose]: async () => {} };
}

async function installDocker(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `no Docker daemon answers at ${SYSTEM_SOCKET}`;
  if (process.getuid?.() !== 0) {
    return `no Docker daemon answers at ${SYSTEM_SOCKET}, and only root can start one`;
  }
  if (await isInstalled('dockerd')) return undefined;
  if (!(await isInstalled('apt-get'))) return 'dockerd is not installed, and there is no apt-get to install it with';
  try {
    await installPackages(['docker.io', 'iptables']);
    return undefined;
  } catch (error) {
    return `Debian's docker.io cannot be installed: ${lastLine(error)}`;
  }
}

/** Installs Debian packages. Throws when that fails. Only for root. */
export async function installPackages(names: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['-qq', 'update'], { env, timeout: 180_000 });
  await run('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...names], {
    env,
    timeout: 600_000,
    maxBuffer: 2 ** 26,
  });
}

/** Whether a program is on the PATH. */
export async function isInstalled(program: string): Promise<boolean> {
  return run('sh', ['-c', `command -v ${program}`]).then(
    () => true,
    () => false,
  );
}

/** Whether a Docker daemon answers behind a unix socket. */
async function answers(socketPath: string): Promise<boolean> {
  const hasSocket = await access(socketPath).then(
    () => true,
    () => false,
  );
  if (!hasSocket) return false;
  return new Promise((resolve) => {
    const ping = request({ socketPath, path: '/_ping', timeout: 3000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('timeout', () => ping.destroy(new Error('no answer')));
    ping.on('error', () => resolve(false));
    ping.end();
  });
}

interface LaunchOptions {
  readonly directory: string;
  readonly isPrivate: boolean;
}

async function launch(options: LaunchOptions): Promise<PrivateDocker | { readonly unavailable: string }> {
  const { directory } = options;
  const socketPath = join(directory, 'docker.sock');
  let daemon: ChildProcess;
  const start = async () => {
    daemon = await spawnDaemon(options);
    await waitUntilReady(daemon, directory);
  };
  const dispose = async () => {
    await end(daemon, 'SIGTERM');
    await cleanUp(directory);
    if (options.isPrivate) await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await start();
  } catch (error) {
    await cleanUp(directory);
    return { unavailable: `dockerd does not start: ${lastLine(error)}` };
  }
  return {
    socketPath,
    get pid() {
      return daemon.pid ?? 0;
    },
    async restart(signal = 'SIGTERM') {
      await end(daemon, signal);
      await endContainerd(directory);
      await start();
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function spawnDaemon({ directory, isPrivate }: LaunchOptions): Promise<ChildProcess> {
  const log = await open(join(directory, 'dockerd.log'), 'a');
  try {
    const flags = [
      `--host=unix://${directory}/docker.sock`,
      `--data-root=${directory}/data`,
      `--exec-root=${directory}/exec`,
      `--pidfile=${directory}/docker.pid`,
      // A containerd of the machine is shared, and would mix up the containers of two daemons.
      ...(existsSync('/run/containerd/containerd.sock') ? [`--containerd-namespace=ebb${process.pid}`] : []),
    ];
    const [program, ...args] = isPrivate ? ['unshare', '--net', '--', 'dockerd', ...flags] : ['dockerd', ...flags];
    // A group of its own: Ctrl-C at the terminal must not end it before the tests have.
    return spawn(program ?? '', args, { stdio: ['ignore', log.fd, log.fd], detached: true });
  } finally {
    await log.close();
  }
}

async function waitUntilReady(daemon: ChildProcess, directory: string): Promise<void> {
  let failure: Error | undefined;
  daemon.once('error', (error) => {
    failure = error;
  });
  const until = performance.now() + 60_000;
  while (performance.now() < until) {
    if (failure) throw failure;
    if (daemon.exitCode !== null) break;
    if (await answers(join(directory, 'docker.sock'))) return;
    await sleep(50);
  }
  await end(daemon, 'SIGKILL');
  const log = await readFile(join(directory, 'dockerd.log'), 'utf8').catch(() => '');
  throw new Error(`dockerd does not answer: ${log.trim().split('\n').slice(-3).join('\n')}`);
}

async function end(daemon: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null || daemon.pid === undefined) return;
  const ended = new Promise<void>((resolve) => daemon.once('exit', () => resolve()));
  // A stopped process would not see the other signal.
  daemon.kill('SIGCONT');
  daemon.kill(signal);
  const isEnded = await Promise.race([ended.then(() => true), sleep(30_000, false, { ref: false })]);
  if (!isEnded) {
    daemon.kill('SIGKILL');
    await ended;
  }
}

/** Ends what a killed daemon leaves: its containerd, and mounts in its directory. */
async function cleanUp(directory: string): Promise<void> {
  await endContainerd(directory);
  const mounts = await readFile('/proc/self/mounts', 'utf8').catch(() => '');
  const inside = mounts
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of inside.reverse()) await run('umount', ['--lazy', path]).catch(() => {});
}

/** A killed daemon takes its containerd along, but a new one would take the dead process in the file for a living one. */
async function endContainerd(directory: string): Promise<void> {
  const file = join(directory, 'exec/containerd/containerd.pid');
  const pid = Number(await readFile(file, 'utf8').catch(() => ''));
  if (pid > 1 && (await isRunning(pid, directory))) {
    process.kill(pid, 'SIGTERM');
    for (let round = 0; round < 100 && (await isRunning(pid, directory)); round += 1) await sleep(50);
    if (await isRunning(pid, directory)) process.kill(pid, 'SIGKILL');
  }
  await rm(file, { force: true });
}

/** Whether a process still is the one that was started for `directory`: ids are used again. */
async function isRunning(pid: number, directory: string): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes(directory);
}

function lastLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n').at(-1) ?? text;
}
