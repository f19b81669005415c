import { JOB_STREAM, JOB_STREAM_HEADER_BYTES, type JobResource, type TaskResource } from '@ebb/contract';
import type { TaskStream } from './attempt-runner.ts';

/** The two ends of a job whose input and output are those of a connection. */
export interface JobStream extends TaskStream {
  /** What is sent to the client. */
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Sends the last piece: how the job and its task ended. */
  end(result: { readonly job: JobResource; readonly task: TaskResource }): void;
}

/** Joins a connection with a task. Output waits until the client has taken what came before. */
export function openJobStream(input: AsyncIterable<Uint8Array>, signal: AbortSignal): JobStream {
  const queue: { readonly piece: Uint8Array; readonly taken: () => void }[] = [];
  let wake = Promise.withResolvers<void>();
  let current: (() => void) | undefined;
  let isEnded = false;

  const put = (kind: number, payload: Uint8Array): Promise<void> =>
    new Promise((taken) => {
      queue.push({ piece: frame(kind, payload), taken });
      wake.resolve();
    });
  // Nobody reads any more: what the task still writes is thrown away.
  const letGo = () => {
    for (const { taken } of queue.splice(0)) taken();
    current?.();
    wake.resolve();
  };
  signal.addEventListener('abort', letGo, { once: true });

  async function* pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      for (let next = queue.shift(); next; next = queue.shift()) {
        current = next.taken;
        yield next.piece;
        next.taken();
      }
      if (isEnded || signal.aborted) return;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  }

  return {
    input,
    onOutput: (source, chunk) =>
      signal.aborted ? undefined : put(source === 'stdout' ? JOB_STREAM.output : JOB_STREAM.error, chunk),
    pieces: pieces(),
    end(result) {
      void put(JOB_STREAM.end, Buffer.from(JSON.stringify(result)));
      isEnded = true;
      wake.resolve();
    },
  };
}

function frame(kind: number, payload: Uint8Array): Uint8Array {
  const whole = Buffer.allocUnsafe(JOB_STREAM_HEADER_BYTES + payload.length);
  whole.writeUInt8(kind, 0);
  whole.writeUInt32BE(payload.length, 1);
  whole.set(payload, JOB_STREAM_HEADER_BYTES);
  return whole;
}
