/** The in-instance server of the managed Node runtime: loads the user's handler and answers requests with it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import { callIdOf } from './context.ts';
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

const load = () => loadHandler(readSettings(process.env)).catch(giveUp);
try {
  const socket = process.env['EBB_SOCKET'] ?? '';
  if (process.env['EBB_SPARE'] === '1') {
    const { serveSpare } = await import('./spare.ts');
    await serveSpare({ socket, calls, load });
  } else {
    const handler = await load();
    await serve({ socket, handler, calls });
  }
} catch (error) {
  giveUp(error);
}

function giveUp(error: unknown): never {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause !== undefined) console.error(cause);
  console.error(`ebb: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
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
