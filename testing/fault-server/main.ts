/**
 * The server as `ebb up` starts it, with two things that a test can do to it while it runs, by files in the directory
 * FAULT_DIR: `point` names a step at which it kills itself, once; `offset` is added to the clock, in milliseconds.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { startServer } from '../../packages/server/src/index.ts';
import { type FaultPoint, faultyQueue } from './faulty-queue.ts';

const LOOK_EVERY_MS = 20;
const directory = process.env['FAULT_DIR'] ?? '';
const pointFile = path.join(directory, 'point');

stepClock(() => Number(read('offset')) || 0);
const server = await startServer({
  env: process.env,
  version: '0.0.0-test',
  takeover: process.argv.includes('--takeover'),
  aroundQueue: (queue) => faultyQueue(queue, reach),
});
for (const warning of server.warnings) process.stderr.write(`warning: ${warning}\n`);
const stopped = new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()));
await Promise.race([stopped, server.replaced]);
await server.close();
process.exit(0);

function reach(point: FaultPoint): void {
  if (read('point') !== point) return;
  rmSync(pointFile);
  process.kill(process.pid, 'SIGKILL');
}

function read(name: string): string {
  try {
    return readFileSync(path.join(directory, name), 'utf8').trim();
  } catch {
    return '';
  }
}

/** Has the wall clock of this process go wrong by what `offsetMs` says; timers and the monotonic clock go on as they are. */
function stepClock(offsetMs: () => number): void {
  const RealDate = Date;
  let offset = offsetMs();
  setInterval(() => {
    offset = offsetMs();
  }, LOOK_EVERY_MS).unref();
  const now = () => RealDate.now() + offset;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, given, newTarget) => Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
}
