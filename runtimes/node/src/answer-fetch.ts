import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { answerError } from './answer-error.ts';
import { type Context, createContext } from './context.ts';
import { sendResponse } from './send-response.ts';
import type { Settings } from './settings.ts';
import { type Answer, hasBody } from './shape.ts';

type FetchHandler = (request: Request, context: Context) => Response | Promise<Response>;

/** How a Web-standard handler is called: bodies stream both ways, and `request.signal` follows the caller. */
export function answerWithFetch(handler: unknown, owner: unknown, settings: Settings): Answer {
  const call = (handler as FetchHandler).bind(owner);
  return (incoming, outgoing) => void respond(call, incoming, outgoing, settings);
}

async function respond(
  call: FetchHandler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  settings: Settings,
): Promise<void> {
  try {
    const context = createContext(settings, incoming, outgoing);
    const response = await call(toRequest(incoming, context), context);
    if (!(response instanceof Response)) {
      throw new TypeError(
        `the fetch handler returned ${response === undefined ? 'nothing' : typeof response}, not a Response`,
      );
    }
    await sendResponse(response, outgoing);
  } catch (error) {
    answerError(outgoing, error);
  }
}

function toRequest(incoming: IncomingMessage, context: Context): Request {
  const headers: [string, string][] = [];
  const raw = incoming.rawHeaders;
  for (let index = 0; index + 1 < raw.length; index += 2) headers.push([raw[index] ?? '', raw[index + 1] ?? '']);
  const method = incoming.method ?? 'GET';
  const isBodied = method !== 'GET' && method !== 'HEAD' && hasBody(incoming);
  return new Request(urlOf(incoming), {
    method,
    headers,
    signal: context.signal,
    ...(isBodied ? { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: 'half' as const } : {}),
  });
}

function urlOf(incoming: IncomingMessage): string {
  const scheme = incoming.headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
  const path = incoming.url ?? '/';
  const url = `${scheme}://${incoming.headers.host || 'localhost'}${path.startsWith('/') ? path : '/'}`;
  return URL.canParse(url) ? url : `${scheme}://localhost${path}`;
}
