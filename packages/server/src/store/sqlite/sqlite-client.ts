import { type Transferable, Worker } from 'node:worker_threads';
import { EbbError } from '../../core/errors.ts';
import type { Failure, Reply, Request } from './protocol.ts';

/** What a {@link SqliteClient} is made of. */
export interface SqliteClientOptions<Operation> {
  /** Path of the database file, for the worker and for errors. */
  readonly path: string;
  /** Name of the worker's file beside this one, without its extension. */
  readonly worker: string;
  /** What the thread is called. */
  readonly threadName: string;
  /** Puts operations into another form to be sent, with memory that goes over to the worker instead of being copied. */
  readonly pack?: ((operations: readonly Operation[]) => Packed) | undefined;
}

/** One SQLite file in a thread of its own. */
export interface SqliteClient<Operation, Result> extends AsyncDisposable {
  /** Does one operation. Throws STORE_FAILED, or STORAGE_FULL where there is no space to write. */
  ask(operation: Operation): Promise<Result>;
}

/** Operations as they are sent. */
interface Packed {
  readonly operations: readonly unknown[];
  readonly transfer: readonly Transferable[];
}

interface Waiting<Operation, Result> {
  readonly operation: Operation;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: EbbError) => void;
}

/**
 * Opens a file by a worker that `serveFile`s it, so that no fsync holds up a request. Operations that are asked for in one
 * turn of the event loop, or while others are being done, go together, in order: one message, one transaction and one
 * fsync. Throws STORE_FAILED for a
 * file that is damaged or cannot be opened, and DATA_DIR_IN_USE when another process has it open.
 */
export async function openSqliteClient<Operation, Result>(
  options: SqliteClientOptions<Operation>,
): Promise<SqliteClient<Operation, Result>> {
  const { path, pack = (operations: readonly Operation[]) => ({ operations, transfer: [] }) } = options;
  const worker = new Worker(fileOf(options.worker), {
    workerData: { path },
    name: options.threadName,
    execArgv: [],
  });
  const waiting: Waiting<Operation, Result>[] = [];
  let inFlight: Waiting<Operation, Result>[] = [];
  let broken: EbbError | undefined;
  let closing: Promise<void> | undefined;
  let isSending = false;

  const { promise: opened, resolve: onOpened, reject: onFailed } = Promise.withResolvers<void>();
  const { promise: exited, resolve: onExit } = Promise.withResolvers<void>();
  const { promise: drained, resolve: onDrained } = Promise.withResolvers<void>();

  const post = (request: Request<unknown>, transfer: readonly Transferable[] = []): void => {
    worker.postMessage(request, transfer);
  };

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
    const { operations, transfer } = pack(inFlight.map(({ operation }) => operation));
    post({ kind: 'batch', operations }, transfer);
  };

  /** Sends at the end of this turn of the event loop, so that all that is asked in it goes together. */
  const sendSoon = (): void => {
    if (isSending || inFlight.length > 0) return;
    isSending = true;
    setImmediate(() => {
      isSending = false;
      if (waiting.length > 0) send();
    });
  };

  worker.on('message', (reply: Reply<Result>) => {
    if (reply.kind === 'opened') onOpened();
    else if (reply.kind === 'failed') fail(asError(reply));
    else {
      const answered = inFlight;
      inFlight = [];
      for (const [index, failure] of reply.failures) answered[index]?.reject(asError(failure));
      for (const [index, { resolve, reject }] of answered.entries()) {
        // A second word on what has failed changes nothing.
        if (index < reply.results.length) resolve(reply.results[index] as Result);
        else reject(new EbbError('STORE_FAILED', `the store ${path} did not answer`));
      }
      send();
    }
  });
  worker.on('error', (cause) => {
    fail(new EbbError('STORE_FAILED', `the thread that keeps ${path} failed; restart the server`, { cause }));
  });
  worker.on('exit', () => {
    fail(new EbbError('STORE_FAILED', `the store ${path} is closed`));
    onExit();
  });

  const close = async (): Promise<void> => {
    send();
    await drained;
    worker.ref();
    post({ kind: 'close' });
    await exited;
  };

  await opened;
  send();

  return {
    ask(operation) {
      return new Promise<Result>((resolve, reject) => {
        if (broken) throw broken;
        if (closing) throw new EbbError('STORE_FAILED', `the store ${path} is closed`);
        waiting.push({ operation, resolve, reject });
        sendSoon();
      });
    },

    [Symbol.asyncDispose]() {
      closing ??= Promise.resolve().then(close);
      return closing;
    },
  };
}

/** The worker's file beside this one, as source or as emitted JavaScript. */
function fileOf(worker: string): URL {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return new URL(`./${worker}${extension}`, import.meta.url);
}

function asError(failure: Failure): EbbError {
  return new EbbError(failure.code, failure.message, { cause: new Error(failure.cause) });
}
