import type { ServerResponse } from 'node:http';
import { answerError } from './answer-error.ts';
import { type Context, createContext } from './context.ts';
import { installLightFetch, isFetchLoaded } from './light-globals.ts';
import { LightRequest } from './light-request.ts';
import { partsOf, realOf, sendParts } from './light-response.ts';
import type { Settings } from './settings.ts';
import type { Answer } from './shape.ts';

type FetchHandler = (request: Request, context: Context) => Response | Promise<Response>;

/** How a Web-standard handler is called: bodies stream both ways, and `request.signal` follows the caller. */
export function answerWithFetch(handler: unknown, owner: unknown, settings: Settings): Answer {
  const call = (handler as FetchHandler).bind(owner);
  // Code that has used the real classes while it was loaded may hold on to them, and they do not take light objects.
  const isLight = !isFetchLoaded() && installLightFetch();
  return (incoming, outgoing) => {
    const context = createContext(settings, incoming, outgoing);
    const light = new LightRequest(incoming, context);
    respond(call, isLight ? (light as unknown as Request) : LightRequest.real(light), context, outgoing).catch(
      (error: unknown) => answerError(outgoing, error),
    );
  };
}

async function respond(
  call: FetchHandler,
  request: Request,
  context: Context,
  outgoing: ServerResponse,
): Promise<void> {
  const response: unknown = await call(request, context);
  const parts = partsOf(response);
  if (parts) {
    sendParts(parts, outgoing);
    return;
  }
  if (!(response instanceof Response)) {
    const what = response === undefined ? 'nothing' : typeof response;
    throw new TypeError(`the fetch handler returned ${what}, not a Response`);
  }
  const { sendResponse } = await import('./send-response.ts');
  await sendResponse(realOf(response) ?? response, outgoing);
}
