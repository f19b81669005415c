/** The load generator of `open-loop.ts`; told what to do by its parent, answers with a `LoadStep`. */
import { percentile } from './measure.ts';
import type { OpenLoopOptions } from './open-loop.ts';
import { RawConnection } from './raw-connection.ts';
import type { LoadStep } from './results.ts';

/** What comes before is not counted: connections open, and the server gets used to the load. */
const WARM_UP_MS = 500;
/** How long answers are waited for at the end. */
const GRACE_MS = 5_000;
/** Beyond so many connections a request counts as an error. */
const MAX_CONNECTIONS = 4_000;
/** Longest the process sleeps without looking at its sockets; bounds how late an answer is noticed. */
const NAP_MS = 0.1;
/** A timer may be this late. */
const TIMER_MS = 2;

process.once('message', (options) => {
  void run(options as OpenLoopOptions).then((step) => process.send?.(step));
});

async function run({ url, rate, seconds }: OpenLoopOptions): Promise<LoadStep> {
  const target = new URL(url);
  const idle: RawConnection[] = [];
  const [goodMs, shedMs, lateMs]: [number[], number[], number[]] = [[], [], []];
  let [connections, pending, errors] = [0, 0, 0];
  const startMs = performance.now() + 50;
  const fromMs = startMs + WARM_UP_MS;
  const total = Math.floor((rate * (seconds * 1000 + WARM_UP_MS)) / 1000);

  const takeConnection = () => {
    for (let known = idle.pop(); known; known = idle.pop()) {
      if (known.isOpen) return known;
      connections -= 1;
    }
    if (connections >= MAX_CONNECTIONS) return undefined;
    connections += 1;
    return new RawConnection(target);
  };
  const fire = (dueMs: number, nowMs: number) => {
    const isCounted = dueMs >= fromMs;
    if (isCounted) lateMs.push(nowMs - dueMs);
    const connection = takeConnection();
    if (!connection) {
      if (isCounted) errors += 1;
      return;
    }
    pending += 1;
    connection.send((status) => {
      pending -= 1;
      idle.push(connection);
      if (!isCounted) return;
      const tookMs = performance.now() - dueMs;
      if (status === 200) goodMs.push(tookMs);
      else if (status === 429 || status === 503) shedMs.push(tookMs);
      else errors += 1;
    });
  };

  const dueAt = (index: number) => startMs + (index * 1000) / rate;
  for (let next = 0; next < total;) {
    const nowMs = performance.now();
    while (next < total && dueAt(next) <= nowMs) fire(dueAt(next++), nowMs);
    if (next < total) await rest(dueAt(next) - performance.now());
  }
  for (const giveUpAt = performance.now() + GRACE_MS; pending > 0 && performance.now() < giveUpAt;) await rest(10);
  for (const connection of idle) connection.close();
  return {
    offered: rate,
    goodput: goodMs.length / seconds,
    p50Ms: percentile(goodMs, 0.5),
    p99Ms: percentile(goodMs, 0.99),
    shed: shedMs.length / seconds,
    shedP99Ms: shedMs.length === 0 ? 0 : percentile(shedMs, 0.99),
    errors: errors + pending,
    lateP99Ms: percentile(lateMs, 0.99),
  };
}

/** Lets sockets be read, and some of the time pass: by timer where it is long, else in naps that leave the CPU alone. */
function rest(ms: number): Promise<void> {
  if (ms > TIMER_MS) return new Promise((resolve) => setTimeout(resolve, ms - TIMER_MS));
  if (ms > NAP_MS / 2) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.min(ms, NAP_MS));
  return new Promise((resolve) => setImmediate(resolve));
}
