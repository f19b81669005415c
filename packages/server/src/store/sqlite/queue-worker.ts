/** The thread that owns the file of the durable queue. */
import { constants, getPriority, setPriority } from 'node:os';
import { QUEUE_FILE } from './queue-file.ts';
import { serveFile } from './serve-file.ts';

/** Steps of niceness by which the thread gives way to the rest of the server. */
const NICER = 10;

/**
 * Where calls are answered in the same moment, the CPU is theirs: an outcome that is written a little later is noticed by
 * nobody, a late answer is. Only on Linux is a priority one thread's; elsewhere it would be the whole server's.
 */
function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(Math.min(constants.priority.PRIORITY_LOW, getPriority() + NICER));
  } catch {
    // Where that is forbidden all goes on as before, with a longer tail.
  }
}

giveWay();
serveFile(QUEUE_FILE);
