import { rename } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { HEALTH_PATH, READY_PATH } from '@ebb/contract';
import type { Instance, InstanceExit, InstanceLabels, InstanceSpec, SpareSpec } from '../engine.ts';
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
  describe(): Instance;
  /** Makes a spare the instance of `spec`, which serves after `delayMs`. */
  specialise(spec: InstanceSpec, delayMs: number): void;
  /** Listens on the socket after `delayMs`. */
  start(delayMs: number): Promise<void>;
  exit(exit: InstanceExit): void;
  /** Lets running requests finish for `graceMs`, then cuts them. Resolves when the instance is gone. */
  drain(graceMs: number): Promise<void>;
  setFrozen(isFrozen: boolean): void;
  readonly logs: LogBuffer['read'];
  requestsServed(): number;
}

/** Makes an in-process instance or a spare that serves on a unix socket; `onExit` is called once. */
export function createMemoryInstance(
  made: InstanceSpec | SpareSpec,
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
  let spec = 'source' in made ? made : undefined;
  const controls: MemoryInstanceControls = {
    log(text, source = 'stdout', callId) {
      log.append({ at: new Date().toISOString(), source, text, ...(callId === undefined ? {} : { callId }) });
    },
    exit: (how = {}) => end({ outOfMemory: false, ...(how.signal === undefined ? { code: 1 } : {}), ...how }),
  };
  let served = 0;
  let answer: RequestListener | Server | undefined = spec && serve(spec, controls);
  let asking: (() => void)[] | undefined = spec ? undefined : [];
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === HEALTH_PATH && spec?.source.kind !== 'image') {
      response.end('ok');
      return;
    }
    if (!spec || asking || (request.url === READY_PATH && spec.source.kind === 'code')) {
      const reply = () => response.end('ok');
      if (asking) asking.push(reply);
      else reply();
      return;
    }
    running += 1;
    served += 1;
    response.once('close', () => {
      running -= 1;
      if (running === 0) onIdle();
    });
    const handle = () => {
      if (typeof answer === 'function') answer(request, response);
      else answer?.emit('request', request, response);
    };
    if (isFrozen) held.push(handle);
    else handle();
  };
  const server = createServer(listener);
  server.on('upgrade', (request, socket, head) => {
    if (typeof answer === 'object') answer.emit('upgrade', request, socket, head);
    else socket.destroy();
  });

  return {
    describe: () => ({
      id: made.id,
      labels: spec?.labels ?? noLabels(made.labels),
      ...(spec ? {} : { spare: true }),
      target: { kind: 'unix', path: dir.socketPath },
      state: exit ? 'exited' : isFrozen ? 'frozen' : 'running',
      ...(exit ? { exit } : {}),
      startedAt,
    }),
    specialise(next, delayMs) {
      spec = next;
      answer = serve(next, controls);
      startTimer = setTimeout(() => {
        const waiting = asking ?? [];
        asking = undefined;
        for (const reply of waiting) reply();
      }, delayMs);
    },
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

/** The labels of a spare, which belongs to no version. */
function noLabels({ installation, generation }: SpareSpec['labels']): InstanceLabels {
  return { installation, namespace: '', function: '', version: 0, generation };
}
