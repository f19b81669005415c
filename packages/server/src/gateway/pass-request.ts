import { type IncomingMessage, request as httpRequest, type RequestOptions, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { EbbError } from '../core/errors.ts';
import { newCallId } from '../core/ids.ts';
import { sendError } from './send-error.ts';

const HOP_BY_HOP: readonly string[] = ['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'expect'];

/** How {@link passRequest} passes on. */
export interface PassOptions {
  /** How the other process is reached. */
  readonly to: Pick<RequestOptions, 'socketPath' | 'agent' | 'createConnection'>;
  /** Headers, names and values in turn, that the request gets; what the caller sent under these names is dropped. */
  readonly requestHeaders: readonly string[];
  /** Headers that the answer gets. */
  readonly answerHeaders?: readonly string[];
  /** Stands for the request's own body where that was read already; its length is the same. */
  readonly body?: Readable | undefined;
  /** What the caller is told, with DRAINING, when the other process cannot be reached. */
  readonly unreachable: string;
}

/**
 * Has another process answer a request: bodies stream both ways, and who leaves on one side is gone on the other. Headers
 * of single connections do not pass.
 */
export function passRequest(request: IncomingMessage, response: ServerResponse, options: PassOptions): void {
  const { to, requestHeaders, answerHeaders = [], body = request, unreachable } = options;
  const upstream = httpRequest({
    ...to,
    setHost: false,
    method: request.method,
    path: request.url,
    headers: [...passed(request.rawHeaders, requestHeaders), ...requestHeaders],
  });
  upstream.on('response', (answer) => {
    const headers = [...passed(answer.rawHeaders, answerHeaders), ...answerHeaders];
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
    // Followed logs have a head long before their first line.
    response.flushHeaders();
    answer.pipe(response);
    answer.once('close', () => {
      if (!answer.complete) response.destroy();
    });
  });
  upstream.on('error', () => {
    if (response.headersSent || response.destroyed) return;
    sendError(response, new EbbError('DRAINING', unreachable, { retryAfterSeconds: 1 }), newCallId());
  });
  upstream.once('close', () => {
    // What was not wanted of a body is read, so that the caller comes to read its answer.
    body.unpipe(upstream);
    body.resume();
  });
  response.once('close', () => upstream.destroy());
  body.once('error', () => upstream.destroy());
  body.pipe(upstream);
}

function passed(raw: readonly string[], replaced: readonly string[]): string[] {
  const dropped = new Set([
    ...HOP_BY_HOP,
    ...replaced.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()),
  ]);
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!dropped.has(name.toLowerCase())) headers.push(name, raw[i + 1] as string);
  }
  return headers;
}
