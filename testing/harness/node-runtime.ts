import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { afterAll, beforeAll, expect } from 'vitest';
import { createLogger } from '../../packages/server/src/core/logger.ts';
import { awaitReady } from '../../packages/server/src/engines/await-ready.ts';
import type { Engine, EngineLogLine, InstanceExit, Target } from '../../packages/server/src/engines/engine.ts';
import { createProcessEngine } from '../../packages/server/src/engines/process/process-engine.ts';
import { prepareNodeRuntime } from '../../packages/server/src/runtimes/prepare-runtime.ts';

/** An answer, read to its end. */
export interface Sent {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * Sets up the Node runtime for the tests of one file: functions of given files run through the process engine, and
 * everything ends after the last test. Call it once at the top of a `describe`.
 */
export function useNodeRuntime() {
  let dataDir: string;
  let engine: Engine;
  let made = 0;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'ebb-'));
    const runtime = await prepareNodeRuntime({ dataDir });
    const logger = createLogger('silent');
    engine = createProcessEngine({ installation: 'one', runDir: join(dataDir, 'run'), runtime, logger });
  });
  afterAll(async () => {
    for (const { id } of await engine.list()) await engine.stop(id, { graceMs: 0 });
    await engine[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true });
  });

  /** Starts a function with the given files; it is ready, or its start failed with START_FAILED. */
  async function start(files: Record<string, string>, env: Record<string, string> = {}) {
    made += 1;
    const id = `f-${made}`;
    const codeDir = join(dataDir, 'code', id);
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(codeDir, name)), { recursive: true });
      await writeFile(join(codeDir, name), content);
    }
    const done = new AbortController();
    const events = engine.events(done.signal);
    const exited = (async (): Promise<InstanceExit> => {
      for await (const event of events) if (event.id === id && event.exit) return event.exit;
      return new Promise(() => {});
    })();
    const { target } = await engine.create({
      id,
      labels: { installation: 'one', namespace: 'openfaas-fn', function: 'f', version: 7, generation: 'g1' },
      source: { kind: 'code', runtime: 'node', codeDir },
      env: { EBB_FUNCTION: 'f', EBB_NAMESPACE: 'openfaas-fn', EBB_VERSION: '7', ...env },
      secrets: { token: Buffer.from('s3cret') },
      limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 256, tmpBytes: 2 ** 26 },
      tenant: 1,
      user: 'tenant',
      network: 'egress',
      readOnlyRootFilesystem: true,
    });
    const logs = async (): Promise<readonly EngineLogLine[]> => {
      const lines: EngineLogLine[] = [];
      for await (const line of engine.logs(id, { follow: false })) lines.push(line);
      return lines;
    };
    const ready = awaitReady(target, { signal: AbortSignal.timeout(20_000), exited });
    ready.catch(() => {});
    return { id, target, ready, exited, logs };
  }
  const startReady = async (files: Record<string, string>, env: Record<string, string> = {}) => {
    const started = await start(files, env);
    await started.ready;
    return started;
  };
  /** The last log line of a function whose start fails. */
  const failure = async (files: Record<string, string>, env: Record<string, string> = {}, exitCode = 70) => {
    const started = await start(files, env);
    await expect(started.ready).rejects.toMatchObject({ code: 'START_FAILED' });
    expect(await started.exited).toMatchObject({ code: exitCode });
    return (await started.logs()).at(-1)?.text ?? '';
  };

  const open = (target: Target, path: string, options: Record<string, unknown> = {}): ClientRequest =>
    request({ socketPath: target.kind === 'unix' ? target.path : '', path, agent: false, ...options });
  const send = async (
    target: Target,
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
  ): Promise<Sent> => {
    const method = options.method ?? (options.body === undefined ? 'GET' : 'POST');
    const sent = open(target, path, { method, headers: options.headers ?? {} });
    sent.end(options.body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, headers: response.headers, body: await readText(response) };
  };

  const stop = (id: string, { graceMs }: { graceMs: number }) => engine.stop(id, { graceMs });

  return { start, startReady, failure, open, send, stop };
}
