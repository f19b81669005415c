import { formatBytes } from '@ebb/contract';
import { asEbbError } from '../core/errors.ts';
import type { AnswerSink } from '../core/ports.ts';
import type { StoredResult } from '../store/queue.ts';
import type { PayloadWriter } from './payload-files.ts';

/** Headers of an answer that say nothing once it is kept: of the connection, and the platform's own. */
const NOT_KEPT =
  /^(?:connection|content-length|keep-alive|transfer-encoding|trailer|date|server-timing|x-call-id|x-start-time|x-ebb-.*)$/i;

/** Set by what serves a function, such as its watchdog, on errors that are not the function's own words. */
const INTERNAL_HEADER = 'x-openfaas-internal';

/** Keeps the answer of one attempt. */
export interface AnswerKeeper extends AnswerSink, AsyncDisposable {
  /** `Retry-After` of the answer. */
  readonly retryAfter: string | undefined;
  /** Whether the answer says that what serves the function made it, and not the function. */
  readonly isInternal: boolean;
  /** What is kept, on disk where it is a file; undefined without an answer. `note` says what is missing and why. */
  finish(): Promise<{ readonly result: StoredResult | undefined; readonly note: string | undefined }>;
}

/**
 * Keeps an answer as far as it can be kept. That it is too long, or that there is no space for it, is no reason to make
 * the call again: what is missing is said in a note.
 */
export function createAnswerKeeper(writer: PayloadWriter, maxBytes: number): AnswerKeeper {
  let status = 0;
  let kept: readonly string[] = [];
  let retryAfter: string | undefined;
  let isInternal = false;
  let note: string | undefined;
  let hasBody = true;

  const giveUp = (error: unknown): void => {
    hasBody = false;
    note ??= `the answer could not be kept: ${asEbbError(error).message}`;
  };
  return {
    get retryAfter() {
      return retryAfter;
    },
    get isInternal() {
      return isInternal;
    },
    onHead(given, headers) {
      status = given;
      const own: string[] = [];
      for (let i = 0; i + 1 < headers.length; i += 2) {
        const [name = '', value = ''] = [headers[i], headers[i + 1]];
        const lower = name.toLowerCase();
        if (lower === 'retry-after') retryAfter = value;
        if (lower === INTERNAL_HEADER) isInternal = true;
        if (!NOT_KEPT.test(name)) own.push(name, value);
      }
      kept = own;
    },
    onData(chunk) {
      if (!hasBody || note !== undefined) return undefined;
      const room = maxBytes - writer.sizeBytes;
      if (chunk.length > room)
        note = `the answer is longer than ${formatBytes(maxBytes)} (asyncMaxPayload) and was cut`;
      try {
        return writer.write(chunk.length > room ? chunk.subarray(0, room) : chunk)?.catch(giveUp);
      } catch (error) {
        giveUp(error);
        return undefined;
      }
    },
    async finish() {
      if (status === 0) return { result: undefined, note };
      const body = hasBody ? await writer.finish().catch(giveUp) : undefined;
      return { result: { status, headers: kept, body: body ?? { kind: 'none' } }, note };
    },
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}
