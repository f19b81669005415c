import { rename } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Instance, InstanceExit, InstanceSpec } from '../engine.ts';
import { type InstanceDir, PENDING_SOCKET_NAME } from '../instance-dir.ts';
import { createLogBuffer, type LogBuffer } from '../log-buffer.ts';
import { join } from 'node:path';

/** What the code of a memory instance can do besides answering requests. */
export interface MemoryInstanceControls {
  /** Writes a line to the instance's log. */
  log(text: string, source?: 'stdout' | 'stderr', callId?: string): void;
  /** Ends the instance as a crash would: connections are cut, the socket refuses. */
  exit(exit?: Partial<InstanceExit>): void;
}

/** Makes what an instance answers requests with; a whole server where upgrades are needed too. */
export type MemoryServe = (spec: InstanceSpec, controls: MemoryInstanceControls) => RequestListener | Server;

/** One in-process instance. */
export interface MemoryInstance {
  readonly spec: InstanceSpec;
  describe(): Instance;
  /** Listens on the socket after `delayMs`. */
  start(delayMs: number): Promise<void>;
  exit(exit: InstanceExit): void;
  /** Lets running requests finish for `graceMs`, then cuts them. Resolves when the instance is gone. */
  drain(graceMs: number): Promise<void>;
  setFrozen(isFrozen: boolean): void;
  readonly logs: LogBuffer['read'];
  requestsServed(): number;
}

/** Makes an in-process instance that serves on a unix socket; `onExit` is called once. */
export function createMemoryInstance(
  spec: InstanceSpec,
  dir: InstanceDir,
  serve: MemoryServe,
  onExit: (exit: InstanceExit) => void,
): MemoryInstance {
  const startedAt = Date.now();
  const log = createLogBuffer();
  const held: (() => void)[] = [];
  let isFrozen = false;
  let exit: InstanceExit | undefined;
  let running = 0;
  let served = 0;
  let onIdle = () => {};
  let startTimer: NodeJS.Timeout | undefined;

  const end = (how: InstanceExit) => {
    if (exit) return;
    exit = how;
    clearTimeout(startTimer);
    server.close();
    server.closeAllConnections();
    log.end();
    onIdle();
    onExit(how);
  };
  const made = serve(spec, {
    log(text, source = 'stdout', callId) {
      log.append({ at: new Date().toISOString(), source, text, ...(callId === undefined ? {} : { callId }) });
    },
    exit: (how = {}) => end({ outOfMemory: false, ...(how.signal === undefined ? { code: 1 } : {}), ...how }),
  });
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    running += 1;
    served += 1;
    response.once('close', () => {
      running -= 1;
      if (running === 0) onIdle();
    });
    const handle = () => {
      if (typeof made === 'function') made(request, response);
      else made.emit('request', request, response);
    };
    if (isFrozen) held.push(handle);
    else handle();
  };
  const server = createServer(listener);
  if (typeof made !== 'function') {
    server.on('upgrade', (request, socket, head) => made.emit('upgrade', request, socket, head));
  }

  return {
    spec,
    describe: () => ({
      id: spec.id,
      labels: spec.labels,
      target: { kind: 'unix', path: dir.socketPath },
      state: exit ? 'exited' : isFrozen ? 'frozen' : 'running',
      ...(exit ? { exit } : {}),
      startedAt,
    }),
    async start(delayMs) {
      if (delayMs > 0) {
        await new Promise<void>((resolve) => {
          startTimer = setTimeout(resolve, delayMs);
        });
      }
      if (exit) return;
      const pending = join(dir.socketDir, PENDING_SOCKET_NAME);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(pending, resolve);
      });
      await rename(pending, dir.socketPath);
    },
    exit: end,
    async drain(graceMs) {
      if (exit) return;
      server.close();
      server.closeIdleConnections();
      if (running > 0) {
        let timer: NodeJS.Timeout | undefined;
        await new Promise<void>((resolve) => {
          onIdle = resolve;
          timer = setTimeout(resolve, graceMs);
        });
        clearTimeout(timer);
      }
      end(running > 0 ? { signal: 'SIGKILL', outOfMemory: false } : { code: 0, outOfMemory: false });
    },
    setFrozen(value) {
      isFrozen = value;
      if (!value) for (const handle of held.splice(0)) handle();
    },
    logs: (options) => log.read(options),
    requestsServed: () => served,
  };
}
