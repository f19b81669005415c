/** Has some clients queue calls through the default driver, each its next when the last is durable: `PATH BYTES CLIENTS SECONDS`. */
import { DatabaseSync } from 'node:sqlite';
import { newCallId } from '../../../packages/server/src/core/ids.ts';
import { createSqliteQueue } from '../../../packages/server/src/store/sqlite/sqlite-queue.ts';
import { percentile } from '../measure.ts';

const [path = '', bytes, clients, seconds] = process.argv.slice(2);
const queue = await createSqliteQueue({ path });
const body = new Uint8Array(Number(bytes)).fill(120);
const endMs = performance.now() + Number(seconds) * 1000;
const beganMs = performance.now();
const latencies: number[] = [];

async function client(): Promise<void> {
  while (performance.now() < endMs) {
    const now = Date.now();
    const sentMs = performance.now();
    await queue.enqueue([
      {
        id: newCallId(),
        namespace: 'openfaas-fn',
        lane: 'openfaas-fn/stamp',
        target: { kind: 'function', namespace: 'openfaas-fn', name: 'stamp', qualifier: '' },
        method: 'POST',
        path: '/',
        headers: ['Content-Type', 'text/plain'],
        body: { kind: 'bytes', bytes: body },
        acceptedAt: now,
        runAt: now,
        expiresAt: now + 3_600_000,
        priority: 4,
      },
    ]);
    latencies.push(performance.now() - sentMs);
  }
}

await Promise.all(Array.from({ length: Number(clients) }, client));
const perSecond = (latencies.length * 1000) / (performance.now() - beganMs);
await queue[Symbol.asyncDispose]();
process.send?.({ perSecond, p99Ms: percentile(latencies, 0.99), rowBytes: rowBytes() });
process.disconnect?.();

/** What one call takes in the rows of its two tables, without their indexes. */
function rowBytes(): number {
  using database = new DatabaseSync(path, { readOnly: true });
  const row = database.prepare("SELECT sum(payload) AS bytes FROM dbstat WHERE name IN ('items', 'states')").get();
  return Math.round(Number(row?.['bytes']) / latencies.length);
}
