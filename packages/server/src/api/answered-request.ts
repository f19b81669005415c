import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AnsweredRequest } from '../core/ports.ts';

/** Stands for every path that no route has: callers must not be able to make series at will. */
const UNMATCHED = 'unmatched';

/** What the metrics count of a request when its answer has left. */
export function answeredRequest(request: FastifyRequest, reply: FastifyReply): AnsweredRequest {
  const { url } = request.routeOptions;
  return {
    method: request.method,
    route: url === undefined ? UNMATCHED : url.replace(/:(\w+)/g, '{$1}'),
    status: reply.statusCode,
    seconds: reply.elapsedTime / 1000,
  };
}
