import { parentPort, workerData } from 'node:worker_threads';
import { describeFailure } from './describe-failure.ts';
import { type FileFormat, openFile } from './open-file.ts';
import type { Reply, Request } from './protocol.ts';

/** What a worker thread does all its life: owns one file, takes batches and answers them in order. */
export function serveFile<Operation, Result, Wire = Operation>(format: FileFormat<Operation, Result, Wire>): void {
  const { path } = workerData as { readonly path: string };
  const port = parentPort;
  if (!port) return;
  const reply = (message: Reply<Result>): void => port.postMessage(message);
  try {
    const file = openFile(path, format);
    const unpack = format.unpack ?? ((sent: readonly Wire[]) => sent as readonly unknown[] as readonly Operation[]);
    port.on('message', (request: Request<Wire>) => {
      if (request.kind === 'close') {
        file.close();
        port.close();
      } else {
        const outcomes = file.run(unpack(request.operations));
        reply({
          kind: 'batch',
          results: outcomes.map((outcome) => (outcome.kind === 'done' ? outcome.result : undefined)),
          failures: [...outcomes.entries()].flatMap(([i, outcome]) =>
            outcome.kind === 'failed' ? [[i, outcome]] : [],
          ),
        });
      }
    });
    reply({ kind: 'opened' });
  } catch (error) {
    reply(describeFailure(path, error));
    port.close();
  }
}
