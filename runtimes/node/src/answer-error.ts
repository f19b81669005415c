import type { ServerResponse } from 'node:http';

/**
 * Answers a call whose handler failed: 500 with the message only, or a cut connection when the answer has begun. The
 * stack goes to the function's log.
 */
export function answerError(response: ServerResponse, error: unknown): void {
  if (!response.destroyed) console.error(error);
  answerProblem(response, 500, error instanceof Error ? error.message : String(error));
}

/** Answers `{"error": message}`, or cuts the connection when an answer has begun. */
export function answerProblem(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  const body = Buffer.from(JSON.stringify({ error: message }));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}
