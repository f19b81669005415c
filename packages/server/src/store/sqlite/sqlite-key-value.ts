import { Worker } from 'node:worker_threads';
import { EbbError } from '../../core/errors.ts';
import { checkText, checkWrites } from '../check-text.ts';
import type { KeyValue } from '../key-value.ts';
import type { Failure, Operation, Outcome, Reply, Request } from './protocol.ts';

/** Where the store lives. */
export interface SqliteKeyValueOptions {
  /** Path of the database file; made, with its folder, when absent. */
  readonly path: string;
}

interface Waiting {
  readonly operation: Operation;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: EbbError) => void;
}

/**
 * Opens the durable map in one SQLite file, kept by a thread of its own so that no fsync holds up a request.
 * Operations that arrive while others are being written go together: one transaction and one fsync for all their
 * commits, each with its own conflict check. Throws STORE_FAILED for a file that is damaged or cannot be opened,
 * and DATA_DIR_IN_USE when another process has it open.
 */
export async function createSqliteKeyValue(options: SqliteKeyValueOptions): Promise<KeyValue> {
  const worker = new Worker(workerFile(), { workerData: { path: options.path }, name: 'ebb-store', execArgv: [] });
  const waiting: Waiting[] = [];
  let inFlight: Waiting[] = [];
  let broken: EbbError | undefined;
  let closing: Promise<void> | undefined;

  const { promise: opened, resolve: onOpened, reject: onFailed } = Promise.withResolvers<void>();
  const { promise: exited, resolve: onExit } = Promise.withResolvers<void>();
  const { promise: drained, resolve: onDrained } = Promise.withResolvers<void>();

  const fail = (error: EbbError): void => {
    broken ??= error;
    onFailed(error);
    for (const { reject } of [...inFlight.splice(0), ...waiting.splice(0)]) reject(error);
    onDrained();
  };

  const send = (): void => {
    if (inFlight.length > 0 || broken) return;
    if (waiting.length === 0) {
      if (closing) onDrained();
      worker.unref();
      return;
    }
    inFlight = waiting.splice(0);
    worker.ref();
    post(worker, { kind: 'batch', operations: inFlight.map(({ operation }) => operation) });
  };

  worker.on('message', (reply: Reply) => {
    if (reply.kind === 'opened') onOpened();
    else if (reply.kind === 'failed') fail(asError(reply));
    else {
      const answered = inFlight;
      inFlight = [];
      for (const [index, { resolve }] of answered.entries()) {
        resolve(reply.outcomes[index] ?? missingOutcome(options.path));
      }
      send();
    }
  });
  worker.on('error', (cause) => {
    fail(new EbbError('STORE_FAILED', `the thread that keeps ${options.path} failed; restart the server`, { cause }));
  });
  worker.on('exit', () => {
    fail(new EbbError('STORE_FAILED', `the store ${options.path} is closed`));
    onExit();
  });

  const ask = async (operation: Operation): Promise<Exclude<Outcome, Failure>> => {
    if (broken) throw broken;
    if (closing) throw new EbbError('STORE_FAILED', `the store ${options.path} is closed`);
    const outcome = await new Promise<Outcome>((resolve, reject) => {
      waiting.push({ operation, resolve, reject });
      send();
    });
    if (outcome.kind === 'failed') throw asError(outcome);
    return outcome;
  };

  const close = async (): Promise<void> => {
    send();
    await drained;
    worker.ref();
    post(worker, { kind: 'close' });
    await exited;
  };

  await opened;
  send();

  return {
    async get(key) {
      checkText(key, 'key');
      const outcome = await ask({ kind: 'get', key });
      return outcome.kind === 'entry' ? outcome.entry : undefined;
    },

    async list(prefix) {
      checkText(prefix, 'prefix');
      const outcome = await ask({ kind: 'list', prefix });
      return outcome.kind === 'entries' ? outcome.entries : [];
    },

    async commit(writes) {
      checkWrites(writes);
      const outcome = await ask({ kind: 'commit', writes });
      return outcome.kind === 'committed' ? outcome.result : { kind: 'committed' };
    },

    [Symbol.asyncDispose]() {
      closing ??= Promise.resolve().then(close);
      return closing;
    },
  };
}

/** The worker's file beside this one, as source or as emitted JavaScript. */
function workerFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return new URL(`./sqlite-worker${extension}`, import.meta.url);
}

function post(worker: Worker, request: Request): void {
  worker.postMessage(request);
}

function asError(failure: Failure): EbbError {
  return new EbbError(failure.code, failure.message, { cause: new Error(failure.cause) });
}

function missingOutcome(path: string): Failure {
  return { kind: 'failed', code: 'STORE_FAILED', message: `the store ${path} did not answer`, cause: 'no outcome' };
}
