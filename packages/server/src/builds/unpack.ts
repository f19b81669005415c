import { Worker } from 'node:worker_threads';
import { EbbError } from '../core/errors.ts';
import type { WrittenTree } from './tree-writer.ts';
import type { UnpackReply, UnpackTask } from './unpack-protocol.ts';

/** Memory of the thread besides buffers; an archive needs little more than the list of its names. */
const MAX_HEAP_MB = 256;

/**
 * Unpacks an archive in a thread of its own; when this settles, the thread has ended. Throws CODE_INVALID,
 * CODE_TOO_LARGE, STORE_FAILED, or the reason of `signal`.
 */
export async function unpack(task: UnpackTask, signal?: AbortSignal): Promise<WrittenTree> {
  signal?.throwIfAborted();
  const worker = new Worker(workerFile(), {
    workerData: task,
    name: 'ebb-unpack',
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const stop = (): void => void worker.terminate();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const reply = await answerOf(worker);
    signal?.throwIfAborted();
    if (reply.kind === 'done') return reply.tree;
    throw new EbbError(reply.code, reply.message, { cause: new Error(reply.cause) });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function answerOf(worker: Worker): Promise<UnpackReply> {
  return new Promise((resolve) => {
    let reply: UnpackReply | undefined;
    worker.on('message', (message: UnpackReply) => {
      reply = message;
    });
    worker.on('error', (error: Error) => {
      reply ??= { kind: 'failed', ...describeCrash(error), cause: error.message };
    });
    worker.on('exit', () => resolve(reply ?? { kind: 'failed', ...describeCrash(undefined), cause: 'no answer' }));
  });
}

function describeCrash(error: Error | undefined): { code: 'CODE_TOO_LARGE' | 'STORE_FAILED'; message: string } {
  if (error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return { code: 'CODE_TOO_LARGE', message: 'the archive needs more memory to unpack than is allowed' };
  }
  return { code: 'STORE_FAILED', message: 'the archive could not be unpacked because its thread ended; try again' };
}

/** The worker's file beside this one, as source or as emitted JavaScript. */
function workerFile(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './unpack-worker.ts' : './unpack-worker.js', import.meta.url);
}
