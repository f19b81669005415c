import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { CALL_ID_HEADER, FUNCTION_STATUS_HEADER } from '@ebb/contract';
import type { KeptBody } from '../core/ports.ts';

/**
 * Answers with a body as it was kept, at the speed of the client. What a function or its caller wrote is not run by a
 * browser that is shown it, whatever it says it is. A failure on the way cuts the connection.
 */
export async function sendBody(response: ServerResponse, body: KeptBody, callId: string): Promise<void> {
  const { status, contentType = 'application/octet-stream', sizeBytes } = body;
  response.writeHead(200, {
    [CALL_ID_HEADER]: callId,
    'cache-control': 'no-store',
    'content-type': contentType,
    'content-length': sizeBytes,
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
    ...(status !== undefined && { [FUNCTION_STATUS_HEADER]: status }),
  });
  const opened = body.open();
  if (opened instanceof Uint8Array) response.end(opened);
  // Who went away, or a disk that fails in the middle, ends both sides; there is nobody left to tell.
  else await pipeline(opened, response).catch(() => {});
}
