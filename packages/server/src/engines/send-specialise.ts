import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { EbbError } from '../core/errors.ts';

/** Path that the runtime answers until it has code, and never again (see runtimes/node/src/spare.ts). */
const SPECIALISE_PATH = '/_/specialise';
const MAX_REFUSAL_BYTES = 2000;

/** What a spare's runtime is told to become an instance of a version. */
export interface SpecialiseMessage {
  /** The environment, the platform's own variables included. */
  readonly env: Readonly<Record<string, string>>;
  /** Directory the handler works in, as the instance sees it. */
  readonly workDir: string;
  /** Inode that directory must have, where the code may fail to reach the instance. */
  readonly workDirInode?: string;
  /** Directory of compiled code, as the instance sees it. */
  readonly compileCache?: string;
  /** Whether the compiled code is to be sent back once the handler is loaded. */
  readonly sendCompiled?: boolean;
}

/**
 * Tells a spare's runtime what it becomes, and resolves once it has begun to. The rest of the answer is the compiled
 * code if that was asked for; whoever does not read it destroys the answer. Throws UNSUPPORTED_BY_ENGINE when the code does
 * not reach the instance, ENGINE_FAILED when the runtime does not take it.
 */
export async function sendSpecialise(
  socketPath: string,
  message: SpecialiseMessage,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  const body = Buffer.from(JSON.stringify(message));
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request({
    socketPath,
    path: SPECIALISE_PATH,
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json', 'content-length': body.length },
    ...(signal === undefined ? {} : { signal }),
  });
  sent.once('response', resolve);
  sent.on('error', reject);
  sent.end(body);
  let response: IncomingMessage;
  try {
    response = await promise;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EbbError('ENGINE_FAILED', `the spare does not take code: ${reason}`, { cause: error });
  }
  response.on('error', () => {});
  if (response.statusCode === 202) return response;
  if (response.statusCode === 409) {
    response.destroy();
    throw new EbbError('UNSUPPORTED_BY_ENGINE', 'code that is mounted later does not reach an instance that runs');
  }
  const refusal = (await text(response).catch(() => '')).slice(0, MAX_REFUSAL_BYTES);
  throw new EbbError('ENGINE_FAILED', `the spare does not take code: it answers ${response.statusCode} ${refusal}`);
}
