import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { CALL_ID_HEADER, ERRORS } from '@ebb/contract';
import type { BuildReport, RemoteBuilder } from '../../builds/remote/create-remote-builder.ts';
import { readSignature } from '../../builds/remote/check-signature.ts';
import { asEbbError, EbbError } from '../../core/errors.ts';
import { discardRest } from '../../core/http1/discard-rest.ts';
import { readChunks } from '../../core/http1/read-chunks.ts';
import { steadyChunks } from '../../core/http1/steady-chunks.ts';
import { newCallId } from '../../core/ids.ts';
import type { Logger } from '../../core/logger.ts';
import { streamLines } from '../stream-lines.ts';

/** What the way in for builds is made with. */
export interface BuilderDoorOptions {
  /** The builder, or why there is none although one is wanted. */
  readonly builder: RemoteBuilder | EbbError;
  readonly logger: Pick<Logger, 'info' | 'error'>;
}

/** The way in for builds. Disposing it ends those that run, and resolves when their clients have been told. */
export interface BuilderDoor extends AsyncDisposable {
  /** Answers `/build` and `/publickey`; returns false, untouched, for any other path. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

/** How long those whose builds are ended have to be told, when the server shuts down. */
const LAST_WORDS_MS = 2_000;
/** Lines that an answer in one piece holds, the last ones. */
const MAX_LINES = 10_000;
const LINES = 'application/x-ndjson';
const METHODS: ReadonlyMap<string, readonly string[]> = new Map([
  ['/build', ['POST']],
  ['/publickey', ['GET', 'HEAD']],
]);

/**
 * Makes the way in. It asks for no login: what is built is signed with the payload secret, and the public key is for
 * everybody. Errors are one line of text, which clients print.
 */
export function createBuilderDoor({ builder, logger }: BuilderDoorOptions): BuilderDoor {
  const closing = new AbortController();
  const answering = new Set<Promise<void>>();
  const answer = async (path: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const callId = newCallId();
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client went away')));
    response.setHeader(CALL_ID_HEADER, callId);
    try {
      const methods = METHODS.get(path) ?? [];
      if (!methods.includes(request.method ?? '')) {
        response.setHeader('Allow', methods.join(', '));
        throw new EbbError(
          'METHOD_NOT_ALLOWED',
          `${request.method} is not possible on ${path}, only ${methods.join(', ')}`,
        );
      }
      if (builder instanceof EbbError) throw builder;
      if (path === '/publickey') sendJson(response, builder.publicKey);
      else await build(builder, request, response, gone.signal);
    } catch (thrown) {
      if (gone.signal.aborted) return;
      const error = asEbbError(thrown);
      if (ERRORS[error.code].fault === 'platform')
        logger.error({ callId, err: error.cause ?? error }, 'a build failed');
      discardRest(request);
      if (response.headersSent) response.destroy();
      else sendText(response, error);
    }
  };

  async function build(
    images: RemoteBuilder,
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const signature = readSignature(request.headers['x-build-signature']);
    const stopped = AbortSignal.any([signal, closing.signal]);
    await using received = await images.receive(steadyChunks(readChunks(request)), signature, stopped);
    const reports = logged(toldOfEnd(received.run(stopped), signal));
    if ((request.headers.accept ?? '').includes(LINES)) {
      response.writeHead(200, { 'content-type': LINES, 'cache-control': 'no-store' });
      await streamLines(response, reports, signal);
    } else sendJson(response, await gather(reports));
  }

  /** A build that the server ends itself has failed; nobody is left to be told of one whose client went away. */
  async function* toldOfEnd(
    reports: AsyncIterable<BuildReport>,
    gone: AbortSignal,
  ): AsyncGenerator<BuildReport, void, undefined> {
    let image = '';
    try {
      for await (const report of reports) {
        ({ image } = report);
        yield report;
      }
    } catch (error) {
      if (gone.aborted || !closing.signal.aborted) throw error;
      yield { log: [], image, status: 'failed', error: 'the server shuts down and ended the build; send it again' };
    }
  }

  async function* logged(reports: AsyncIterable<BuildReport>): AsyncGenerator<BuildReport, void, undefined> {
    for await (const report of reports) {
      const { image, status, duration } = report;
      if (status !== 'in_progress') logger.info({ image, status, durationSeconds: duration }, 'an image was built');
      yield report;
    }
  }

  return {
    handle(request, response) {
      const [path = ''] = (request.url ?? '').split('?', 1);
      if (!METHODS.has(path)) return false;
      const answered = answer(path, request, response).finally(() => answering.delete(answered));
      answering.add(answered);
      return true;
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new EbbError('DRAINING', 'the server is shutting down and takes no builds'));
      // Who is silent in the middle of an archive is not waited for.
      await Promise.race([Promise.all(answering), sleep(LAST_WORDS_MS, undefined, { ref: false })]);
    },
  };
}

/** Everything that was said of a build, in one report. */
async function gather(reports: AsyncIterable<BuildReport>): Promise<BuildReport> {
  const log: string[] = [];
  let last: BuildReport = { log, image: '', status: 'failed', error: 'nothing is known of the build' };
  for await (const report of reports) {
    log.push(...report.log);
    if (log.length > 2 * MAX_LINES) log.splice(0, log.length - MAX_LINES);
    last = report;
  }
  return { ...last, log: log.slice(-MAX_LINES) };
}

function sendJson(response: ServerResponse, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}

function sendText(response: ServerResponse, error: EbbError): void {
  const body = `${error.message}\n`;
  if (error.retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(error.retryAfterSeconds));
  response.writeHead(error.status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}
