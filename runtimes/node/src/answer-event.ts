import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerError, answerProblem } from './answer-error.ts';
import { type Context, createContext } from './context.ts';
import { readBody } from './read-body.ts';
import type { Settings } from './settings.ts';
import { type Answer, hasBody } from './shape.ts';

/** Most bytes of an event: it is held in memory. A handler that takes more streams it through `fetch`. */
const MAX_EVENT_BYTES = 32 * 2 ** 20;

type EventHandler = (event: unknown, context: Context) => unknown;

/** How an event handler is called: the body is the event, and what it returns is the answer. */
export function answerWithEvent(handler: unknown, settings: Settings): Answer {
  return (request, response) => void respond(handler as EventHandler, request, response, settings);
}

async function respond(
  handler: EventHandler,
  request: IncomingMessage,
  response: ServerResponse,
  settings: Settings,
): Promise<void> {
  try {
    const body = hasBody(request) ? await readBody(request, MAX_EVENT_BYTES) : NO_BODY;
    if (body === undefined) {
      answerProblem(response, 413, `the event is larger than ${MAX_EVENT_BYTES} bytes`);
      return;
    }
    let event: unknown;
    try {
      event = toEvent(body, request);
    } catch (error) {
      answerProblem(
        response,
        400,
        `the body is not valid JSON: ${error instanceof Error ? error.message : 'unreadable'}`,
      );
      return;
    }
    await send(await handler(event, createContext(settings, request, response)), response);
  } catch (error) {
    answerError(response, error);
  }
}

const NO_BODY = Buffer.alloc(0);

function toEvent(body: Buffer, request: IncomingMessage): unknown {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (body.length === 0) {
    const query = (request.url ?? '').indexOf('?');
    return query === -1 ? {} : Object.fromEntries(new URLSearchParams((request.url ?? '').slice(query)));
  }
  if (type === 'application/json' || type.endsWith('+json')) return JSON.parse(body.toString('utf8'));
  const isText = type.startsWith('text/') || type.endsWith('+xml') || TEXT_TYPES.has(type);
  return isText ? body.toString('utf8') : body;
}

const TEXT_TYPES = new Set(['application/x-www-form-urlencoded', 'application/xml', 'application/javascript']);

async function send(result: unknown, response: ServerResponse): Promise<void> {
  if (result === undefined) {
    response.writeHead(204).end();
    return;
  }
  if (result instanceof Uint8Array) {
    const body = Buffer.from(result.buffer, result.byteOffset, result.byteLength);
    sendWhole(response, 'application/octet-stream', body);
    return;
  }
  // Naming Response would load the whole of fetch for handlers that never use it.
  if (Object.prototype.toString.call(result) === '[object Response]' && result instanceof Response) {
    const { sendResponse } = await import('./send-response.ts');
    await sendResponse(result, response);
    return;
  }
  if (typeof result === 'string') {
    sendWhole(response, 'text/plain; charset=utf-8', Buffer.from(result));
    return;
  }
  const json = JSON.stringify(result);
  if (json === undefined) throw new TypeError(`the handler returned a ${typeof result}, which is not an answer`);
  sendWhole(response, 'application/json', Buffer.from(json));
}

function sendWhole(response: ServerResponse, type: string, body: Buffer): void {
  response.writeHead(200, { 'content-type': type, 'content-length': body.length });
  response.end(body);
}
