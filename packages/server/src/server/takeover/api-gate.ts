import type { IncomingMessage, ServerResponse } from 'node:http';

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/** Methods that change nothing. */
const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** How often it is looked whether changes and reads are done. */
const LOOK_EVERY_MS = 5;

/** What stands before the control API, so that the store can be given away without failing a change. */
export interface ApiGate {
  readonly handle: Handle;
  /** Keeps new requests waiting; resolves when no change is under way and every read has got what it is answered with. */
  hold(): Promise<void>;
  /** Lets those who wait, and all who come, to the API again. */
  open(): void;
  /** Has `handle` answer those who wait and all who come. */
  turnOver(handle: Handle): void;
}

/** Makes the gate; it is open. */
export function createApiGate(own: Handle): ApiGate {
  let answer: Handle | undefined;
  const changes = new Set<ServerResponse>();
  const reads = new Set<ServerResponse>();
  const waiting: { readonly request: IncomingMessage; readonly response: ServerResponse }[] = [];

  const counted = (request: IncomingMessage, response: ServerResponse) => {
    const kind = READS.has(request.method ?? '') ? reads : changes;
    kind.add(response);
    response.once('close', () => kind.delete(response));
    own(request, response);
  };
  const use = (next: Handle) => {
    answer = next;
    for (const { request, response } of waiting.splice(0)) {
      if (!response.destroyed) next(request, response);
    }
  };
  use(counted);
  return {
    handle: (request, response) => {
      if (answer) answer(request, response);
      else waiting.push({ request, response });
    },
    async hold() {
      answer = undefined;
      // A log that is followed has its head long before its end, and needs nothing more.
      const isQuiet = () => changes.size === 0 && [...reads].every(({ headersSent }) => headersSent);
      while (!isQuiet()) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    },
    open: () => use(counted),
    turnOver: use,
  };
}
