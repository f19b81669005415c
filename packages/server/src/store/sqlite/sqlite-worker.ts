/** The thread that owns the database file: batches in, outcomes out, in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { openDatabase } from './database.ts';
import { describeFailure } from './describe-failure.ts';
import type { Reply, Request } from './protocol.ts';

const { path } = workerData as { readonly path: string };
const port = parentPort;

if (port) {
  const reply = (message: Reply): void => port.postMessage(message);
  try {
    const database = openDatabase(path);
    port.on('message', (request: Request) => {
      if (request.kind === 'close') {
        database.close();
        port.close();
      } else {
        reply({ kind: 'batch', outcomes: database.run(request.operations) });
      }
    });
    reply({ kind: 'opened' });
  } catch (error) {
    reply(describeFailure(path, error));
    port.close();
  }
}
