import type { IncomingMessage, ServerResponse } from 'node:http';

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/** Methods that change nothing. */
const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What stands before the control API, so that the store can be given away without failing a change. */
export interface ApiGate {
  readonly handle: Handle;
  /** Keeps new requests waiting; resolves when no change is under way. */
  hold(): Promise<void>;
  /** Lets those who wait, and all who come, to the API again. */
  open(): void;
  /** Has `handle` answer those who wait and all who come. */
  turnOver(handle: Handle): void;
}

/** Makes the gate; it is open. */
export function createApiGate(own: Handle): ApiGate {
  let answer: Handle | undefined;
  let changes = 0;
  let onQuiet: (() => void) | undefined;
  const waiting: { readonly request: IncomingMessage; readonly response: ServerResponse }[] = [];

  const counted = (request: IncomingMessage, response: ServerResponse) => {
    if (!READS.has(request.method ?? '')) {
      changes += 1;
      response.once('close', () => {
        changes -= 1;
        if (changes === 0) onQuiet?.();
      });
    }
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
      if (changes === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      onQuiet = resolve;
      await promise;
      onQuiet = undefined;
    },
    open: () => use(counted),
    turnOver: use,
  };
}
