import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FaultPoint } from '../fault-server/faulty-queue.ts';
import { ROOT, startTestServer, type TestServer } from './server.ts';

/** A server that can be stopped at a step and whose clock can be stepped. */
export interface FaultyServer extends AsyncDisposable {
  readonly server: TestServer;
  /** Has it kill itself with SIGKILL when it comes to that point next. */
  arm(point: FaultPoint): Promise<void>;
  /** Has its clock be wrong by so much, from a moment later on. */
  setOffset(ms: number): Promise<void>;
}

/** Starts a server with the process engine whose faults a test chooses. */
export async function startFaultyServer(env: Readonly<Record<string, string>> = {}): Promise<FaultyServer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'ebb-faults-'));
  await using made = new AsyncDisposableStack();
  made.defer(() => rm(directory, { recursive: true, force: true }));
  const server = made.use(
    await startTestServer({
      engine: 'process',
      program: path.join(ROOT, 'testing/fault-server/main.ts'),
      env: { EBB_POOL_SIZE: '0', EBB_LOG_LEVEL: 'warn', FAULT_DIR: directory, ...env },
    }),
  );
  const parts = made.move();
  const write = async (name: string, text: string) => {
    // Whoever looks at it sees all of it.
    await writeFile(path.join(directory, `${name}.new`), text);
    await rename(path.join(directory, `${name}.new`), path.join(directory, name));
  };
  return {
    server,
    arm: (point) => write('point', point),
    setOffset: (ms) => write('offset', String(ms)),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
