import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EbbError } from '../../core/errors.ts';
import type { Instance, InstanceExit, InstanceStats } from '../engine.ts';
import { type InstanceDir, removeInstanceDir } from '../instance-dir.ts';
import { followOutput, type InstanceOutput } from './instance-output.ts';
import type { InstanceState } from './instance-state.ts';
import { bootId, processesWith, processTree, readProcess, sendSignal } from './proc.ts';
import { instanceMark, LOG_DIR } from './spawn-instance.ts';

/** How long the kernel may take to end a process after SIGKILL, or to stop or continue one. */
const KERNEL_TIMEOUT_MS = 5000;

/** One instance, started by this server or found by it. */
export interface ProcessInstance {
  readonly output: InstanceOutput;
  /** Resolves when the process has ended; the exit code is known of own children only. */
  readonly exited: Promise<InstanceExit>;
  /** Looks whether a process that is not a child of this server still runs. */
  check(): void;
  describe(): Instance;
  /** What its directory says of it. */
  readonly state: InstanceState;
  /** Has it belong to the version that the new state names. */
  become(state: InstanceState): void;
  /** Ends it with all it started, and removes its directory. */
  stop(graceMs: number): Promise<void>;
  setFrozen(isFrozen: boolean): Promise<void>;
  stats(): InstanceStats;
  /** Lets go of files and watches; the process goes on. */
  release(): void;
}

/** What a {@link ProcessInstance} is made from. */
export interface ProcessInstanceOptions {
  readonly id: string;
  readonly runDir: string;
  readonly dir: InstanceDir;
  readonly state: InstanceState;
  /** The process itself when this server started it. */
  readonly child?: ChildProcess;
}

/** Makes an {@link ProcessInstance} of a process that runs, or that ran when its state was written. */
export function createProcessInstance(options: ProcessInstanceOptions): ProcessInstance {
  const { id, dir, child } = options;
  let { state } = options;
  const pid = state.process?.pid;
  const mark = instanceMark(dir);
  let exit: InstanceExit | undefined;
  let settleExit: (exit: InstanceExit) => void = () => {};
  const exited = new Promise<InstanceExit>((resolve) => {
    settleExit = resolve;
  });
  let isOutOfMemory = false;
  const output = followOutput(join(dir.root, LOG_DIR), join(dir.root, 'seen'), (text) => {
    isOutOfMemory ||= text.includes('JavaScript heap out of memory');
  });

  const end = (how: Omit<InstanceExit, 'outOfMemory'>) => {
    if (exit) return;
    output.end();
    exit = { ...how, outOfMemory: isOutOfMemory };
    settleExit(exit);
  };
  /** The process of the state, unless it ended and another has its id by now. */
  const running = () => {
    if (pid === undefined || state.bootId !== bootId()) return undefined;
    const status = readProcess(pid);
    if (!status || status.state === 'Z' || status.startTicks !== state.process?.startTicks) return undefined;
    return { ...status, pid };
  };
  const check = () => {
    if (!exit && !child && !running()) end({});
  };
  child?.once('exit', (code, signal) => {
    // What the process started must not outlive it; the group's id stays taken while it has members.
    if (pid !== undefined) sendSignal(-pid, 'SIGKILL');
    end(signal === null ? { code: code ?? 1 } : { signal });
  });
  check();

  const waitForExit = async (ms: number): Promise<boolean> => {
    const limit = new AbortController();
    const poll = async () => {
      const endsAt = performance.now() + ms;
      for (;;) {
        check();
        const leftMs = endsAt - performance.now();
        if (exit || leftMs <= 0) return;
        await delay(Math.min(child ? leftMs : 10, leftMs), undefined, { signal: limit.signal });
      }
    };
    await Promise.race([exited, poll().catch(() => {})]);
    limit.abort();
    return exit !== undefined;
  };
  const killRest = async () => {
    const endsAt = performance.now() + KERNEL_TIMEOUT_MS;
    for (;;) {
      const rest = processesWith(mark).filter((other) => readProcess(other)?.state !== 'Z');
      if (rest.length === 0) return;
      if (performance.now() > endsAt) {
        throw new EbbError('ENGINE_TIMEOUT', `process ${rest[0]} of instance "${id}" did not end when it was killed`);
      }
      for (const other of rest) sendSignal(other, 'SIGKILL');
      await delay(5);
    }
  };
  const requireRunning = () => {
    const found = running();
    if (found) return found;
    throw new EbbError('ENGINE_FAILED', `there is no running instance "${id}"`);
  };

  return {
    output,
    exited,
    check,
    describe() {
      check();
      const isFrozen = !exit && running()?.state === 'T';
      return {
        id,
        labels: state.labels,
        target: { kind: 'unix', path: dir.socketPath },
        state: exit ? 'exited' : isFrozen ? 'frozen' : 'running',
        ...(state.spare ? { spare: true } : {}),
        ...(exit ? { exit } : {}),
        startedAt: state.startedAt,
      };
    },
    get state() {
      return state;
    },
    become(next) {
      state = next;
    },
    async stop(graceMs) {
      const found = running();
      if (found && graceMs > 0) {
        sendSignal(found.pid, 'SIGTERM');
        // A frozen process has to run to end.
        sendSignal(-found.pid, 'SIGCONT');
        await waitForExit(graceMs);
      }
      if (running()) {
        sendSignal(-(pid ?? 0), 'SIGKILL');
        if (!(await waitForExit(KERNEL_TIMEOUT_MS))) {
          throw new EbbError('ENGINE_TIMEOUT', `the process of instance "${id}" did not end when it was killed`);
        }
      }
      await killRest();
      // The exit of an own child is announced by its event, which may come a moment after the kernel forgot it.
      await waitForExit(KERNEL_TIMEOUT_MS);
      end({});
      await removeInstanceDir(options.runDir, id);
    },
    async setFrozen(isFrozen) {
      const found = requireRunning();
      sendSignal(-found.pid, isFrozen ? 'SIGSTOP' : 'SIGCONT');
      const endsAt = performance.now() + KERNEL_TIMEOUT_MS;
      while ((requireRunning().state === 'T') !== isFrozen) {
        if (performance.now() > endsAt) {
          throw new EbbError('ENGINE_TIMEOUT', `instance "${id}" could not be ${isFrozen ? 'frozen' : 'thawed'}`);
        }
        await delay(1);
      }
    },
    stats() {
      const tree = processTree(requireRunning().pid).flatMap((member) => readProcess(member) ?? []);
      return {
        memoryBytes: tree.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
        cpuMs: tree.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
        pids: tree.length,
      };
    },
    release: () => output.end(),
  };
}
