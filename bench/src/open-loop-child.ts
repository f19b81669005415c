/** The load generator of `open-loop.ts`; told what to do by its parent, answers with a `LoadStep`. */
import { percentile } from './measure.ts';
import type { OpenLoopOptions } from './open-loop.ts';
import { RawConnection } from './raw-connection.ts';
import type { LoadStep } from './results.ts';
import { sleep } from './wait.ts';

/** What comes before is not counted: connections open, and the server gets used to the load. */
const WARM_UP_MS = 500;
/** How long answers are waited for at the end. */
const GRACE_MS = 5_000;
/** Longest the process sleeps without looking at its sockets; bounds how late an answer is noticed. */
const NAP_MS = 0.1;
/** What naps wait on. */
const NEVER_SET = new Int32Array(new SharedArrayBuffer(4));
/** A timer may be this late. */
const TIMER_MS = 2;

process.once('message', (options) => {
  void run(options as OpenLoopOptions).then((step) => process.send?.(step));
});

async function run({ url, rate, seconds, connections }: OpenLoopOptions): Promise<LoadStep> {
  const target = new URL(url);
  const idle = Array.from({ length: connections }, () => new RawConnection(target));
  await Promise.all(idle.map((connection) => connection.connected()));
  const [goodMs, shedMs, lateMs]: [number[], number[], number[]] = [[], [], []];
  let [sent, errors] = [0, 0];
  const startMs = performance.now() + 50;
  const fromMs = startMs + WARM_UP_MS;
  const total = Math.floor((rate * (seconds * 1000 + WARM_UP_MS)) / 1000);
  const dueAt = (index: number) => startMs + (index * 1000) / rate;

  const send = (known: RawConnection, dueMs: number) => {
    const connection = known.isOpen ? known : new RawConnection(target);
    sent += 1;
    connection.send((status) => {
      const nowMs = performance.now();
      if (dueMs >= fromMs) {
        if (status === 200) goodMs.push(nowMs - dueMs);
        else if (status === 429 || status === 503) shedMs.push(nowMs - dueMs);
        else errors += 1;
      }
      // What came due meanwhile waited for this connection.
      if (sent < total && dueAt(sent) <= nowMs && nowMs < endMs) send(connection, dueAt(sent));
      else idle.push(connection);
    });
  };

  const endMs = dueAt(total) + GRACE_MS;
  while (sent < total && performance.now() < endMs) {
    const nowMs = performance.now();
    for (; sent < total && dueAt(sent) <= nowMs && idle.length > 0;) {
      const connection = idle.pop();
      if (!connection) break;
      lateMs.push(nowMs - dueAt(sent));
      send(connection, dueAt(sent));
    }
    // With no connection free the next answer sends what is due.
    await (idle.length === 0 ? sleep(1) : rest(dueAt(sent) - performance.now()));
  }
  while (idle.length < connections && performance.now() < endMs) await sleep(10);
  errors += connections - idle.length + total - sent;
  for (const connection of idle) connection.close();
  return {
    offered: rate,
    goodput: goodMs.length / seconds,
    p50Ms: percentile(goodMs, 0.5),
    p99Ms: percentile(goodMs, 0.99),
    shed: shedMs.length / seconds,
    shedP99Ms: shedMs.length === 0 ? 0 : percentile(shedMs, 0.99),
    errors,
    lateP99Ms: percentile(lateMs, 0.99),
  };
}

/** Lets sockets be read, and some of the time pass: by timer where it is long, else in naps that leave the CPU alone. */
function rest(ms: number): Promise<void> {
  if (ms > TIMER_MS) return sleep(ms - TIMER_MS);
  if (ms > NAP_MS / 2) Atomics.wait(NEVER_SET, 0, 0, Math.min(ms, NAP_MS));
  return new Promise((resolve) => setImmediate(resolve));
}
