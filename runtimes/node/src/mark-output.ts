/** Encloses the call id at the start of a line; the engines take it off again. */
const CALL_MARK = '\x1e';
const CALL_ID = /^[\x21-\x7e]{1,128}$/;

/**
 * Marks every line written to standard output and error with the call it was written in. The streams are made when
 * first used, so a function that logs nothing pays nothing.
 */
export function markOutput(currentCallId: () => string | undefined): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const make = Object.getOwnPropertyDescriptor(process, name)?.get?.bind(process);
    let marked: NodeJS.WriteStream | undefined;
    if (!make) continue;
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get: () => (marked ??= markStream(make() as NodeJS.WriteStream, currentCallId)),
    });
  }
}

function markStream(stream: NodeJS.WriteStream, currentCallId: () => string | undefined): NodeJS.WriteStream {
  const write = stream.write.bind(stream) as (chunk: string | Uint8Array, ...rest: unknown[]) => boolean;
  let openLine: string | undefined;
  let isAtStart = true;
  const mark = (chunk: string, callId: string): string => {
    const prefix = CALL_MARK + callId + CALL_MARK;
    const endsLine = chunk.endsWith('\n');
    const lines = (endsLine ? chunk.slice(0, -1) : chunk).replaceAll('\n', `\n${prefix}`);
    // Another call's unfinished line is ended, so that no line belongs to two calls.
    const start = isAtStart ? prefix : openLine === callId ? '' : `\n${prefix}`;
    isAtStart = endsLine;
    openLine = callId;
    return `${start}${lines}${endsLine ? '\n' : ''}`;
  };
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    if (chunk.length === 0) return write(chunk, ...rest);
    const callId = currentCallId();
    if (callId !== undefined && CALL_ID.test(callId)) {
      if (typeof chunk === 'string') return write(mark(chunk, callId), ...rest);
      // Latin 1 maps every byte to one character and back, whatever the bytes mean.
      const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
      return write(Buffer.from(mark(text, callId), 'latin1'), ...rest);
    }
    isAtStart = typeof chunk === 'string' ? chunk.endsWith('\n') : chunk.at(-1) === 10;
    openLine = undefined;
    return write(chunk, ...rest);
  };
  return stream;
}
