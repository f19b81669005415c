import { watch } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { EbbError } from '../core/errors.ts';
import { sealSocket } from './instance-dir.ts';
import type { InstanceExit, Target } from './engine.ts';

/** What readiness of an instance depends on. */
export interface AwaitReadyOptions {
  /** Path that must answer 2xx; without it an accepted connection is enough. */
  readonly healthPath?: string;
  /** Whether it need not have the path: then it is not ready only while its answer says so (see {@link isRefusal}). */
  readonly isOptional?: boolean | undefined;
  /** Ends the wait with the signal's reason. */
  readonly signal: AbortSignal;
  /** Settles when the instance ends, which ends the wait. */
  readonly exited: Promise<InstanceExit>;
}

/** Longest time one probe may take before it is given up and repeated. */
const PROBE_TIMEOUT_MS = 2000;
const LONGEST_PAUSE_MS = 25;

/**
 * Resolves as soon as an instance is ready: a runtime's socket accepts a connection (it gets its name only when the
 * handler is loaded), an image's port does, and the health path answers 2xx if there is one. From then on nobody but
 * the server can put something else in the socket's place. Throws START_FAILED when the instance ends first or what
 * has the socket's name is none, and the signal's reason when it aborts; timers, sockets and watches never stay.
 */
export async function awaitReady(target: Target, options: AwaitReadyOptions): Promise<void> {
  options.signal.throwIfAborted();
  const finished = new AbortController();
  const ended = new Promise<never>((_resolve, reject) => {
    options.exited.then(
      (exit) => reject(new EbbError('START_FAILED', `the instance ${describeExit(exit)} before it was ready`)),
      reject,
    );
    options.signal.addEventListener('abort', () => reject(options.signal.reason), {
      signal: finished.signal,
    });
  });
  try {
    await Promise.race([ended, probeUntilReady(target, options, finished.signal)]);
    if (target.kind === 'unix') await sealSocket(target.path);
  } finally {
    finished.abort();
  }
}

/**
 * Whether an instance answers a request for `path` within `ms`, whatever its answer; without a path, whether it accepts
 * a connection. Never throws.
 */
export async function answersWithin(target: Target, path: string | undefined, ms: number): Promise<boolean> {
  const limit = AbortSignal.timeout(ms);
  return path === undefined ? accepts(target, limit) : (await askStatus(target, path, limit)) !== undefined;
}

/** How an instance ended, as the end of a sentence: `ended with code 1`, `was killed by SIGKILL`. */
export function describeExit(exit: InstanceExit): string {
  if (exit.outOfMemory) return 'ran out of memory';
  if (exit.signal !== undefined) return `was killed by ${exit.signal}`;
  return exit.code === undefined ? 'ended' : `ended with code ${exit.code}`;
}

async function probeUntilReady(
  target: Target,
  { healthPath, isOptional = false }: Pick<AwaitReadyOptions, 'healthPath' | 'isOptional'>,
  signal: AbortSignal,
): Promise<void> {
  const pauses = createPauses(signal);
  const isUnix = target.kind === 'unix';
  if (isUnix) watchSocket(target.path, pauses.wake, signal);
  let pauseMs = isUnix ? 5 : 2;
  let isOpen = false;
  while (!signal.aborted) {
    // A question to a socket that is not there yet costs nothing, so it need not be tried first.
    isOpen ||= (isUnix && healthPath !== undefined) || (await accepts(target, signal));
    if (isOpen && (healthPath === undefined || (await isHealthy(target, healthPath, isOptional, signal)))) return;
    await pauses.wait(pauseMs);
    pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS);
  }
}

interface Pauses {
  /** Waits `ms`, or less when woken; a wake before the wait counts. */
  wait(ms: number): Promise<void>;
  readonly wake: () => void;
}

function createPauses(signal: AbortSignal): Pauses {
  let isWoken = false;
  let end: (() => void) | undefined;
  const wake = () => {
    isWoken = true;
    end?.();
  };
  signal.addEventListener('abort', wake, { once: true });
  return {
    wake,
    async wait(ms) {
      if (!isWoken) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          end = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      end = undefined;
      isWoken = signal.aborted;
    },
  };
}

function watchSocket(path: string, onAppear: () => void, signal: AbortSignal): void {
  const name = basename(path);
  try {
    const watcher = watch(dirname(path), { persistent: false, signal }, (_event, file) => {
      if (file === null || file === name) onAppear();
    });
    // Without a watch, for instance because the host's inotify limit is reached, the pauses alone find the socket.
    watcher.on('error', () => watcher.close());
  } catch {
    // As above.
  }
}

function accepts(target: Target, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket =
      target.kind === 'unix' ? connect({ path: target.path }) : connect({ host: target.host, port: target.port });
    const settle = (isAccepted: boolean) => {
      signal.removeEventListener('abort', abandon);
      socket.destroy();
      resolve(isAccepted);
    };
    const abandon = () => settle(false);
    signal.addEventListener('abort', abandon, { once: true });
    socket.setTimeout(PROBE_TIMEOUT_MS, abandon);
    socket.once('connect', () => settle(true));
    socket.on('error', abandon);
  });
}

async function isHealthy(target: Target, path: string, isOptional: boolean, signal: AbortSignal): Promise<boolean> {
  const askedAt = performance.now();
  const status = await askStatus(target, path, signal);
  if (!isOptional) return status !== undefined && isGood(status);
  // Where the path means nothing, the question is a request like any other, which may take its time.
  return status === undefined ? performance.now() - askedAt >= PROBE_TIMEOUT_MS : !isRefusal(status);
}

/** Whether an answer on a health path says that the instance is well. */
export function isGood(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Whether an answer says that an instance takes no calls now, whatever path was asked for: 429, 502, 503 or 504. */
export function isRefusal(status: number): boolean {
  return status === 429 || (status >= 502 && status <= 504);
}

/** The status that an instance answers a GET with; undefined when it does not answer in time. Never rejects. */
export function askStatus(target: Target, path: string, signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve) => {
    const where = target.kind === 'unix' ? { socketPath: target.path } : { host: target.host, port: target.port };
    const probe = request({
      ...where,
      path,
      method: 'GET',
      agent: false,
      signal,
      maxHeaderSize: 16_384,
    });
    const settle = (status?: number) => {
      resolve(status);
      // The body is not read, however long it is.
      probe.destroy();
    };
    probe.setTimeout(PROBE_TIMEOUT_MS, () => settle());
    probe.once('response', ({ statusCode }) => settle(statusCode));
    probe.on('error', () => settle());
    probe.end();
  });
}
