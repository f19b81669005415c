import type { IncomingMessage, RequestListener, Server as HttpServer, ServerResponse } from 'node:http';
import { answerError, answerProblem } from './answer-error.ts';
import type { Answer, Upgrade } from './shape.ts';

// As in serve.ts: an import would load fetch.
const { Server } = process.getBuiltinModule('node:http');

type NodeHandler = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => unknown;

/** How a Node-style handler is called: a listener, a middleware, an application, or a server that is never told to listen. */
export async function answerWithNode(value: unknown): Promise<{ answer: Answer; upgrade?: Upgrade }> {
  const handler = await resolveApplication(value);
  if (handler instanceof Server) {
    return {
      answer: (request, response) => void handler.emit('request', request, response),
      upgrade: (request, socket, head) => {
        if (!handler.emit('upgrade', request, socket, head)) socket.destroy();
      },
    };
  }
  const takesNext = handler.length >= 3 && !('handle' in handler);
  return {
    answer(request, response) {
      const next = (error?: unknown) => {
        if (error === undefined || error === null) answerProblem(response, 404, 'the handler did not answer the call');
        else answerError(response, error);
      };
      try {
        const result = takesNext ? handler(request, response, next) : handler(request, response);
        if (result instanceof Promise) result.catch((error: unknown) => answerError(response, error));
      } catch (error) {
        answerError(response, error);
      }
    },
  };
}

/** Frameworks whose application is neither a listener nor a server know how to become one. */
async function resolveApplication(value: unknown): Promise<NodeHandler | HttpServer> {
  if (value instanceof Server || typeof value === 'function') return value as NodeHandler | HttpServer;
  const application = value as { ready?: () => Promise<unknown>; server?: unknown; callback?: () => RequestListener };
  if (application.server instanceof Server) {
    await application.ready?.();
    return application.server;
  }
  if (typeof application.callback === 'function') return application.callback();
  throw new TypeError('it is neither a function nor an http.Server');
}
