import { parseHeaderLines } from './header-lines.ts';
import { createHeaderTable } from './header-name.ts';
import { MalformedMessage } from './malformed-message.ts';

/** How the body of an answer ends: there is none, after so many bytes, by its last chunk, or with the connection. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'close';

/** The first lines of an answer. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Names and values alternate; names keep their case. */
  readonly headers: string[];
  readonly framing: BodyFraming;
  /** Bytes of the body when `framing` is `length`, else 0. */
  readonly lengthBytes: number;
  /** Milliseconds the connection may stay idle for the next request: 0 if not at all, undefined if nothing was said. */
  readonly keepAliveMs: number | undefined;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e]*))?$/;
/** The headers that say how the body ends and what becomes of the connection. */
const FRAMING = createHeaderTable(
  (['content-length', 'transfer-encoding', 'connection', 'keep-alive'] as const).map((name) => [name, name] as const),
);
const LENGTH = /^\d{1,15}$/;
const KEEP_ALIVE_TIMEOUT = /(?:^|[,\s])timeout=(\d{1,6})/;

/**
 * Reads the head of an answer to a request with `method` from `text` (one character a byte) up to `end`, where its
 * blank line begins. Framing follows RFC 9112 section 6.3, and refuses what is ambiguous there. Throws
 * {@link MalformedMessage}.
 */
export function readResponseHead(text: string, end: number, method: string): ResponseHead {
  let lineEnd = text.indexOf('\r\n');
  if (lineEnd === -1 || lineEnd > end) lineEnd = end;
  const line = STATUS_LINE.exec(text.slice(0, lineEnd));
  if (!line) throw new MalformedMessage('the answer does not begin with an HTTP/1 status line');
  const headers = parseHeaderLines(text, lineEnd + 2, end);
  if (!headers) throw new MalformedMessage('a header line of the answer is not well-formed');
  const status = Number(line[2]);
  let persistent = line[1] === '1';
  let idleMs: number | undefined;
  let length: string | undefined;
  let isChunked = false;
  for (let i = 0; i < headers.length; i += 2) {
    const value = headers[i + 1] as string;
    switch (FRAMING.find(headers[i] as string)) {
      case undefined:
        break;
      case 'content-length':
        if (length !== undefined || !LENGTH.test(value)) {
          throw new MalformedMessage('the answer has a Content-Length that is no number, or two of them');
        }
        length = value;
        break;
      case 'transfer-encoding':
        if (isChunked || line[1] !== '1' || value.toLowerCase() !== 'chunked') {
          throw new MalformedMessage('the answer has a Transfer-Encoding other than "chunked"');
        }
        isChunked = true;
        break;
      case 'connection':
        persistent = /\bclose\b/i.test(value) ? false : persistent || /\bkeep-alive\b/i.test(value);
        break;
      case 'keep-alive': {
        const seconds = KEEP_ALIVE_TIMEOUT.exec(value)?.[1];
        if (seconds !== undefined) idleMs = Number(seconds) * 1000;
        break;
      }
    }
  }
  if (isChunked && length !== undefined) {
    throw new MalformedMessage('the answer has both a Content-Length and a Transfer-Encoding');
  }
  const hasBody = method !== 'HEAD' && status >= 200 && status !== 204 && status !== 304;
  const framing = !hasBody ? 'none' : isChunked ? 'chunked' : length === undefined ? 'close' : 'length';
  return {
    status,
    reason: line[3] ?? '',
    headers,
    framing,
    lengthBytes: framing === 'length' ? Number(length) : 0,
    keepAliveMs: persistent && framing !== 'close' ? idleMs : 0,
  };
}
