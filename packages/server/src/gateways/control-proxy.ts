import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { passRequest } from '../gateway/pass-request.ts';

/** Tells the first process whom a gateway asks for; what callers send under the name is dropped. */
const PEER_HEADER = 'x-ebb-peer';
/** Idle connections a gateway keeps to the first process. */
const MOST_IDLE = 64;

/** Has the first process answer what a gateway does not. */
export interface ControlProxy extends Disposable {
  /** Has it answer a request, over a connection that later requests use again. */
  pass(request: IncomingMessage, response: ServerResponse): void;
}

/** Makes the way to the private socket of the first process. */
export function createControlProxy(socketPath: string): ControlProxy {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: MOST_IDLE });
  return {
    pass: (request, response) =>
      passRequest(request, response, {
        to: { socketPath, agent },
        requestHeaders: [PEER_HEADER, request.socket.remoteAddress ?? '', 'Connection', 'keep-alive'],
        unreachable: 'the control API cannot be reached just now',
      }),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** Where the first process answers what gateways pass on. Only its own user reaches the directory of the socket. */
export async function openControlSocket(
  path: string,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<AsyncDisposable> {
  // Connections are closed by gateways alone: a request never meets one that is just being closed here.
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 0 }, (request, response) => {
    const peer = request.headers[PEER_HEADER];
    // One request at a time, so the connection may say whose it is: guesses are counted by address.
    Object.defineProperty(request.socket, 'remoteAddress', {
      value: typeof peer === 'string' ? peer : '',
      configurable: true,
    });
    delete request.headers[PEER_HEADER];
    handle(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
