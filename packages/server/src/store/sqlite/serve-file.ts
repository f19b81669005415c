import { parentPort, workerData } from 'node:worker_threads';
import { describeFailure } from './describe-failure.ts';
import { type FileFormat, openFile } from './open-file.ts';
import type { Reply, Request } from './protocol.ts';

/** What a worker thread does all its life: owns one file, takes batches and answers them in order. */
export function serveFile<Operation, Result>(format: FileFormat<Operation, Result>): void {
  const { path } = workerData as { readonly path: string };
  const port = parentPort;
  if (!port) return;
  const reply = (message: Reply<Result>): void => port.postMessage(message);
  try {
    const file = openFile(path, format);
    port.on('message', (request: Request<Operation>) => {
      if (request.kind === 'close') {
        file.close();
        port.close();
      } else {
        reply({ kind: 'batch', outcomes: file.run(request.operations) });
      }
    });
    reply({ kind: 'opened' });
  } catch (error) {
    reply(describeFailure(path, error));
    port.close();
  }
}
