/** The in-instance server of the managed Node runtime: loads the user's handler and answers requests with it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { callIdOf } from './context.ts';
import { HANDLER_FAILED_EXIT } from './load-failure.ts';
import { loadHandler } from './load-handler.ts';
import { markOutput } from './mark-output.ts';
import { serve } from './serve.ts';
import { readSettings } from './settings.ts';

const calls = new AsyncLocalStorage<IncomingMessage>();
markOutput(() => {
  const request = calls.getStore();
  return request && callIdOf(request);
});
quietWarnings();
process.on('uncaughtException', (error: unknown, origin) => {
  console.error(
    origin === 'unhandledRejection' ? 'ebb: a promise was rejected and nobody handled it:' : 'ebb: uncaught exception:',
    error,
  );
  process.exit(1);
});

const load = async () => {
  try {
    return await loadHandler(readSettings(process.env));
  } catch (error) {
    return giveUp(error, HANDLER_FAILED_EXIT);
  }
};
try {
  const socket = process.env['EBB_SOCKET'] ?? '';
  if (process.env['EBB_SPARE'] === '1') {
    const { serveSpare } = await import('./spare.ts');
    await serveSpare({ socket, calls, load });
  } else {
    // Before the handler is loaded, so that the platform can ask whether the event loop runs meanwhile.
    const server = await serve({ socket, handler: { answer: refuse }, calls, isReady: false, isNamed: false });
    server.letGo();
    server.use(await load());
  }
} catch (error) {
  giveUp(error);
}

/** Nobody calls before the socket has its name. */
function refuse(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(503).end('no code yet');
}

function giveUp(error: unknown, exitCode = 1): never {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause !== undefined) console.error(cause);
  console.error(`ebb: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(exitCode);
}

/** Node advises authors of packages to set "type"; users of a function's log cannot act on it. */
function quietWarnings(): void {
  const [print] = process.listeners('warning');
  if (!print) return;
  process.removeAllListeners('warning');
  process.on('warning', (warning: Error & { code?: string }) => {
    if (warning.code !== 'MODULE_TYPELESS_PACKAGE_JSON') print.call(process, warning);
  });
}
