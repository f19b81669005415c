import { readdirSync, readFileSync } from 'node:fs';

/** What the kernel tells about a process (proc(5), /proc/PID/stat and statm). */
export interface ProcessStatus {
  /** `R`, `S`, `T` (stopped), `Z` (ended, not yet reaped), ... */
  readonly state: string;
  /** Moment of its start in clock ticks since boot: tells a process from a later one with the same id. */
  readonly startTicks: string;
  /** CPU time of the process and of its ended children. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
}

/** Clock ticks a second that Linux reports in /proc on every architecture Node runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

/** The status of a process, or undefined when there is none of that id. */
export function readProcess(pid: number): ProcessStatus | undefined {
  const stat = readProc(`${pid}/stat`);
  const statm = readProc(`${pid}/statm`);
  if (stat === undefined || statm === undefined) return undefined;
  // The name in parentheses may itself hold blanks and parentheses; the fields after it are numbered from 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => fields[number - 3] ?? '0';
  const ticks = Number(field(14)) + Number(field(15)) + Number(field(16)) + Number(field(17));
  return {
    state: field(3),
    startTicks: field(22),
    cpuMs: (ticks * 1000) / TICKS_PER_SECOND,
    memoryBytes: Number(statm.split(' ')[1] ?? 0) * PAGE_BYTES,
  };
}

/** The process itself and all its living descendants. */
export function processTree(pid: number): readonly number[] {
  const found = [pid];
  for (const parent of found) {
    for (const task of list(`/proc/${parent}/task`)) {
      const children = readProc(`${parent}/task/${task}/children`) ?? '';
      found.push(...children.split(' ').filter(Boolean).map(Number));
    }
  }
  return found;
}

/** Living processes whose environment at their start held `entry` (`NAME=value`). */
export function processesWith(entry: string): readonly number[] {
  return list('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => `\0${readProc(`${name}/environ`) ?? ''}`.includes(`\0${entry}\0`))
    .map(Number);
}

/** Identifies this boot of the machine: process ids and start times mean nothing in another. */
export function bootId(): string {
  return readProc('sys/kernel/random/boot_id')?.trim() ?? '';
}

/** Sends a signal to a process (or, negative, to a group); says whether there was one. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return undefined;
  }
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
