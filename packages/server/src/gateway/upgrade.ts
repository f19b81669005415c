import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { asEbbError, EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import type { Slot } from '../pool/admission.ts';
import type { GatewayContext } from './gateway-context.ts';
import { isAuthorizationOurs, requestHeaders } from './headers.ts';
import type { Route } from './route-table.ts';
import { sendErrorOnSocket } from './send-error.ts';

/**
 * Carries a WebSocket to an instance: forwards the handshake, then bytes both ways until either side closes or the
 * function's timeout is over. The slot is held all the while.
 */
export async function tunnel(
  context: GatewayContext,
  call: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  route: Route,
  path: string,
): Promise<void> {
  const { request, socket } = call;
  const callId = newCallId();
  const startedAt = Date.now();
  const arrivedMs = performance.now();
  const gone = new AbortController();
  const { version, timeoutMs } = route;
  context.opened();
  let status = 502;
  let errorCode: EbbError['code'] | undefined;
  let slot: Slot | undefined;
  let slotMs = arrivedMs;
  socket.once('close', () => gone.abort(new EbbError('BAD_REQUEST', 'the caller went away')));
  socket.on('error', () => socket.destroy());
  try {
    slot = await context.pools.acquire(version, gone.signal);
    slotMs = performance.now();
    const headers = requestHeaders(request.rawHeaders, {
      callId,
      startTime: `${startedAt}000000`,
      deadline: String(Date.now() + timeoutMs),
      remoteAddress: request.socket.remoteAddress ?? '',
      protocol: 'http',
      stripAuthorization: isAuthorizationOurs(request, route),
      hasBody: false,
    });
    if (!headers) throw new EbbError('BAD_REQUEST', 'the request has more than one "Host" header');
    headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
    status = await carry(slot, { ...call, path, headers, callId, timeoutMs, signal: gone.signal });
    slot.release();
  } catch (error) {
    const failure = asEbbError(error);
    errorCode = gone.signal.aborted ? undefined : failure.code;
    status = gone.signal.aborted ? 499 : failure.status;
    if (failure.code === 'INSTANCE_REFUSED') slot?.fail('hard');
    else slot?.release();
    sendErrorOnSocket(socket, failure, callId);
  } finally {
    context.closed();
    context.record({
      callId,
      namespace: version.namespace,
      name: version.name,
      version: version.version,
      method: request.method ?? '',
      status,
      startedAt,
      durationMs: performance.now() - arrivedMs,
      cold: false,
      phases: { queueMs: slotMs - arrivedMs },
      ...(slot === undefined ? {} : { instance: slot.endpoint.instanceId }),
      ...(errorCode === undefined ? {} : { errorCode }),
    });
  }
}

interface Carriage {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly path: string;
  readonly headers: readonly string[];
  readonly callId: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Does the handshake and pipes until both sides have closed; resolves with the status the caller got. */
function carry(slot: Slot, { socket, ...call }: Carriage): Promise<number> {
  const { target } = slot.endpoint;
  return new Promise((resolve, reject) => {
    const upstream = httpRequest({
      ...(target.kind === 'unix' ? { socketPath: target.path } : { host: target.host, port: target.port }),
      path: call.path,
      method: call.request.method,
      headers: call.headers,
      setHost: false,
      agent: false,
    });
    const timer = setTimeout(() => {
      socket.destroy();
      upstream.destroy(
        new EbbError('FUNCTION_TIMEOUT', `the connection was open for ${call.timeoutMs} ms, the function's timeout`),
      );
    }, call.timeoutMs);
    const abort = () => upstream.destroy();
    call.signal.addEventListener('abort', abort, { once: true });
    const settle = (status: number) => {
      clearTimeout(timer);
      call.signal.removeEventListener('abort', abort);
      resolve(status);
    };
    upstream.on('upgrade', (response, peer, peerHead) => {
      socket.write(headOf(response, call.callId, true));
      if (peerHead.length > 0) socket.write(peerHead);
      if (call.head.length > 0) peer.write(call.head);
      join(socket, peer);
      peer.once('close', () => settle(101));
    });
    upstream.on('response', (response) => {
      socket.write(headOf(response, call.callId, false));
      response.pipe(socket);
      response.once('close', () => settle(response.statusCode ?? 502));
    });
    upstream.on('error', (error: Error & { code?: string }) => {
      clearTimeout(timer);
      call.signal.removeEventListener('abort', abort);
      if (error instanceof EbbError) reject(error);
      else if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') {
        reject(
          new EbbError('INSTANCE_REFUSED', 'the instance does not accept connections', {
            cause: error,
            retryAfterSeconds: 1,
          }),
        );
      } else
        reject(
          new EbbError('INSTANCE_CRASHED', 'the instance cut the connection during the handshake', {
            cause: error,
            retryAfterSeconds: 1,
          }),
        );
    });
    upstream.end();
  });
}

/** Pipes two connections into each other; when one closes, so does the other. */
function join(one: Duplex, other: Duplex): void {
  one.pipe(other);
  other.pipe(one);
  // Sockets of an HTTP server may stay half open; a WebSocket has no use for that.
  one.once('end', () => one.end());
  other.once('end', () => other.end());
  one.once('close', () => other.destroy());
  other.once('close', () => one.destroy());
  other.on('error', () => one.destroy());
}

function headOf(response: IncomingMessage, callId: string, upgraded: boolean): string {
  let head = `HTTP/1.1 ${response.statusCode} ${response.statusMessage}\r\n`;
  const { rawHeaders } = response;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const lower = (rawHeaders[i] as string).toLowerCase();
    if (lower === 'x-call-id') continue;
    if (!upgraded && (lower === 'connection' || lower === 'keep-alive' || lower === 'transfer-encoding')) continue;
    head += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  }
  return `${head}X-Call-Id: ${callId}\r\n${upgraded ? '' : 'Connection: close\r\n'}\r\n`;
}
