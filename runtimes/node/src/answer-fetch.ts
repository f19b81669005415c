import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerError } from './answer-error.ts';
import { type Context, createContext } from './context.ts';
import { installLightFetch, type LightFetch } from './light-globals.ts';
import { sendParts } from './light-response.ts';
import type { Settings } from './settings.ts';
import type { Answer } from './shape.ts';

type FetchHandler = (request: Request, context: Context) => Response | Promise<Response>;

/** How a Web-standard handler is called: bodies stream both ways, and `request.signal` follows the caller. */
export function answerWithFetch(handler: unknown, owner: unknown, settings: Settings): Answer {
  const call = (handler as FetchHandler).bind(owner);
  const light = installLightFetch();
  return (incoming, outgoing) => {
    const context = createContext(settings, incoming, outgoing);
    respond(call, light, incoming, outgoing, context).catch((error: unknown) => answerError(outgoing, error));
  };
}

async function respond(
  call: FetchHandler,
  { LightResponse, toRequest }: LightFetch,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  context: Context,
): Promise<void> {
  const response: unknown = await call(toRequest(incoming, context), context);
  if (LightResponse.isLight(response)) {
    const parts = LightResponse.parts(response);
    if (parts) sendParts(parts, outgoing);
    else await sendReal(LightResponse.real(response), outgoing);
  } else if (response instanceof LightResponse) {
    await sendReal(response as unknown as Response, outgoing);
  } else {
    const what = response === undefined ? 'nothing' : typeof response;
    throw new TypeError(`the fetch handler returned ${what}, not a Response`);
  }
}

async function sendReal(response: Response, outgoing: ServerResponse): Promise<void> {
  const { sendResponse } = await import('./send-response.ts');
  await sendResponse(response, outgoing);
}
