import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { CALL_ID_HEADER, ERROR_COMPONENT_HEADER, type HealthResource } from '@ebb/contract';
import { asEbbError, EbbError, errorBody } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import type { Metrics } from './metrics.ts';

/** What the metrics port serves, and where. */
export interface MetricsServerOptions {
  /** Host without brackets; port 0 lets the system choose. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly metrics: Pick<Metrics, 'expose'>;
  readonly health: () => HealthResource | Promise<HealthResource>;
}

/** The metrics port, open. Disposing it, any number of times, closes it with every connection. */
export interface MetricsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/**
 * Serves `/metrics` and `/healthz` on a port of their own, without authentication: it is for the host's own network,
 * tells no secrets and can change nothing. Throws LISTEN_FAILED.
 */
export async function createMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const { listen, metrics, health } = options;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? '';
    if (path !== '/metrics' && path !== '/healthz') {
      throw new EbbError('NOT_FOUND', 'nothing answers at that path of the metrics port, only /metrics and /healthz');
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      throw new EbbError('METHOD_NOT_ALLOWED', `${request.method} is not possible on ${path}, only GET and HEAD`);
    }
    if (path === '/healthz') {
      const state = await health();
      send(response, state.status === 'draining' ? 503 : 200, 'application/json', JSON.stringify(state));
      return;
    }
    const { contentType, text } = await metrics.expose();
    send(response, 200, contentType, text);
  }

  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 }, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      const expected = asEbbError(error);
      const callId = newCallId();
      response.setHeader(CALL_ID_HEADER, callId);
      response.setHeader(ERROR_COMPONENT_HEADER, expected.component);
      send(response, expected.status, 'application/json', JSON.stringify(errorBody(expected, callId)));
    });
  });
  server.maxConnections = 100;
  const port = await open(server, listen);
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  server.once('close', onClosed);

  return {
    url: `http://${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

async function open(
  server: ReturnType<typeof createServer>,
  { host, port }: MetricsServerOptions['listen'],
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const taken = 'code' in cause && cause.code === 'EADDRINUSE';
      const why = taken ? 'another program listens there' : cause.message;
      reject(
        new EbbError('LISTEN_FAILED', `the metrics cannot be served at ${host}:${port}: ${why}; set --metrics-listen`, {
          cause,
        }),
      );
    });
    server.listen({ host, port }, resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address ? address.port : port;
}
