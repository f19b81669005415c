import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { formatDuration, isColdWait } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import type { GatewayContext, HeldSlot } from './gateway-context.ts';
import { type CallHeaders, isAuthorizationOurs, requestHeaders, responseHeaders } from './headers.ts';
import { instanceFailure, slotFailure } from './instance-failure.ts';
import type { Choice } from './fork.ts';
import type { Route } from './route.ts';
import { givenCallId } from './openfaas-calls.ts';
import { sendErrorOnSocket } from './send-error.ts';

/** Status recorded for a caller that went away before there was one. */
const CLIENT_CLOSED_STATUS = 499;

/** A request to upgrade, and the connection it came on. */
export interface UpgradeCall {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What came after the request's head. */
  readonly head: Buffer;
}

/**
 * Carries a WebSocket to an instance: forwards the handshake, then bytes both ways until either side closes or the
 * function's timeout is over. The slot is held all the while.
 */
export async function tunnel(context: GatewayContext, call: UpgradeCall, choice: Choice, path: string): Promise<void> {
  const { request, socket } = call;
  const { route, cookie } = choice;
  const startedAt = Date.now();
  const arrivedMs = performance.now();
  const gone = new AbortController();
  const { version, timeoutMs } = route;
  const headers: CallHeaders = {
    callId: (route.isOpenFaas ? givenCallId(request.rawHeaders) : undefined) ?? newCallId(),
    startTime: `${startedAt}000000`,
    deadline: '',
    remoteAddress: request.socket.remoteAddress ?? '',
    protocol: 'http',
    stripAuthorization: isAuthorizationOurs(request, route),
    isOpenFaas: route.isOpenFaas,
    shadowOf: undefined,
    attempt: undefined,
  };
  context.opened();
  let status: number;
  let errorCode: EbbError['code'] | undefined;
  let slot: HeldSlot | undefined;
  let slotMs = arrivedMs;
  const watch = watchEnd(socket, () => gone.abort(new EbbError('BAD_REQUEST', 'the caller went away')));
  try {
    if (route.rate.isLimited) await route.rate.take();
    slot = await context.pools.acquire(version, gone.signal);
    slotMs = performance.now();
    gone.signal.throwIfAborted();
    const sent = requestHeaders(request.rawHeaders, { ...headers, deadline: String(Date.now() + timeoutMs) });
    if (!sent) throw new EbbError('BAD_REQUEST', 'the request has more than one "Host" header');
    sent.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
    status = await carry({ ...call, slot, route, cookie, path, headers, sent, watch, signal: gone.signal });
    slot.release();
  } catch (error) {
    const failure = context.expected(error, headers.callId);
    const hasLeft = gone.signal.aborted;
    status = hasLeft ? CLIENT_CLOSED_STATUS : failure.status;
    errorCode = hasLeft ? undefined : failure.code;
    const blame = hasLeft ? undefined : slotFailure(failure.code);
    if (blame) slot?.fail(blame);
    else slot?.release('unknown');
    sendErrorOnSocket(socket, failure, headers);
  }
  context.closed();
  context.record({
    callId: headers.callId,
    namespace: version.namespace,
    name: version.name,
    label: route.label,
    version: version.version,
    instance: slot?.endpoint.instanceId,
    method: request.method ?? '',
    status,
    errorCode,
    startedAt,
    durationMs: performance.now() - arrivedMs,
    cold: slot?.wait !== undefined && isColdWait(slot.wait),
    wait: slot?.wait,
    phases: { queueMs: slotMs - arrivedMs },
  });
}

interface Carriage extends UpgradeCall {
  readonly slot: HeldSlot;
  readonly route: Route;
  readonly cookie: string | undefined;
  readonly path: string;
  readonly headers: CallHeaders;
  /** What the instance is sent. */
  readonly sent: readonly string[];
  /** Disposed when the caller's bytes are wanted. */
  readonly watch: Disposable;
  /** Aborts when the caller went away. */
  readonly signal: AbortSignal;
}

/** Does the handshake and pipes until both sides have closed; resolves with the status the caller got. */
function carry({ socket, route, ...call }: Carriage): Promise<number> {
  const { target } = call.slot.endpoint;
  const { name } = route.version;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let isAnswered = false;
  let isConnected = false;
  const upstream = httpRequest({
    ...(target.kind === 'unix' ? { socketPath: target.path } : { host: target.host, port: target.port }),
    path: call.path,
    method: 'GET',
    headers: call.sent,
    setHost: false,
    agent: false,
  });
  const timer = setTimeout(() => {
    if (isAnswered) socket.destroy();
    else {
      const limit = `within its timeout of ${formatDuration(route.timeoutMs)}`;
      upstream.destroy(new EbbError('FUNCTION_TIMEOUT', `${name} did not answer the handshake ${limit}`));
    }
  }, route.timeoutMs);
  const onGone = () => upstream.destroy();
  call.signal.addEventListener('abort', onGone, { once: true });
  const settled = promise.finally(() => {
    clearTimeout(timer);
    call.signal.removeEventListener('abort', onGone);
  });
  const headOf = (response: IncomingMessage, ...more: string[]) => {
    isAnswered = true;
    const passed = responseHeaders(response.rawHeaders, call.headers, route.versionLabel);
    if (call.cookie !== undefined) passed.push('Set-Cookie', call.cookie);
    let head = `HTTP/1.1 ${response.statusCode} ${response.statusMessage}\r\n`;
    for (const [i, text] of [...passed, ...more].entries()) head += i % 2 === 0 ? `${text}: ` : `${text}\r\n`;
    return `${head}\r\n`;
  };

  upstream.on('socket', (connection) => connection.once('connect', () => (isConnected = true)));
  upstream.on('upgrade', (response, peer, peerHead) => {
    socket.write(headOf(response, 'Connection', 'Upgrade', 'Upgrade', 'websocket'), 'latin1');
    if (peerHead.length > 0) socket.write(peerHead);
    if (call.head.length > 0) peer.write(call.head);
    call.watch[Symbol.dispose]();
    join(socket, peer);
    peer.once('close', () => resolve(101));
  });
  upstream.on('response', (response) => {
    // The answer has no length of its own any more; it ends with the connection, and is cut if it was cut.
    socket.write(headOf(response, 'Connection', 'close'), 'latin1');
    response.pipe(socket);
    response.once('close', () => {
      if (!response.complete) socket.destroy();
      resolve(response.statusCode ?? 502);
    });
  });
  upstream.on('error', (error) => {
    reject(error instanceof EbbError ? error : instanceFailure(name, error, isConnected));
  });
  upstream.end();
  return settled;
}

/** Calls `onEnd` when the other side of a connection leaves, taking no byte of what it sent, until disposed. */
function watchEnd(socket: Duplex, onEnd: () => void): Disposable {
  // A connection is read, and its end seen, only if somebody wants to; reading nothing is enough.
  const peek = () => void socket.read(0);
  socket.on('readable', peek);
  socket.once('end', onEnd);
  socket.once('close', onEnd);
  return { [Symbol.dispose]: () => socket.off('readable', peek).off('end', onEnd) };
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
