import { parseHeaderLines } from './header-lines.ts';
import { createHeaderTable } from './header-name.ts';

/** A request whose framing leaves no question. */
export interface PlainRequest {
  readonly method: string;
  readonly target: string;
  /** Names and values alternate; names keep their case. */
  readonly headers: string[];
  /** Its whole body, one character a byte; undefined when it has none. */
  readonly body: string | undefined;
  /** Whether the caller wants to keep the connection. */
  readonly keepAlive: boolean;
  readonly host: string;
  /** Whether a header says which version or alias is meant. */
  readonly isAddressed: boolean;
}

/** `METHOD target HTTP/1.1` with a target of visible characters that begins with a slash. */
const REQUEST_LINE = /^(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) (\/[\x21-\x7e]*) HTTP\/1\.1$/;
/** The headers that frame the message or change how its connection is used. */
const FRAMING = createHeaderTable(
  (
    [
      'host',
      'content-length',
      'connection',
      'transfer-encoding',
      'upgrade',
      'expect',
      'trailer',
      'te',
      'x-ebb-version',
      'x-ebb-alias',
    ] as const
  ).map((name) => [name, name] as const),
);
/** RFC 9110 section 8.6, in a length that a double holds exactly. */
const LENGTH = /^\d{1,15}$/;

/**
 * Reads a request that is complete in `text` (one character a byte) and plain: HTTP/1.1, one `Host`, a body of known
 * length or none, nothing after it, and no header that changes how the connection is used. Undefined for every other,
 * which is for a full HTTP server to take or refuse: what is returned here, any of them would read in the same way.
 */
export function readPlainRequest(text: string): PlainRequest | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const lineEnd = text.indexOf('\r\n');
  const line = REQUEST_LINE.exec(text.slice(0, lineEnd));
  const headers = line && lineEnd < headEnd ? parseHeaderLines(text, lineEnd + 2, headEnd) : undefined;
  if (!line || !headers) return undefined;
  let hosts = 0;
  let host = '';
  let isAddressed = false;
  let length: number | undefined;
  let keepAlive = true;
  for (let i = 0; i < headers.length; i += 2) {
    const value = headers[i + 1] as string;
    switch (FRAMING.find(headers[i] as string)) {
      case undefined:
        break;
      case 'host':
        hosts += 1;
        host = value;
        break;
      case 'x-ebb-version':
      case 'x-ebb-alias':
        isAddressed = true;
        break;
      case 'content-length':
        if (length !== undefined || !LENGTH.test(value)) return undefined;
        length = Number(value);
        break;
      case 'connection': {
        const wish = value.toLowerCase();
        if (wish === 'close') keepAlive = false;
        else if (wish !== 'keep-alive') return undefined;
        break;
      }
      case 'transfer-encoding':
      case 'upgrade':
      case 'expect':
      case 'trailer':
      case 'te':
        return undefined;
    }
  }
  const bodyStart = headEnd + 4;
  if (hosts !== 1 || text.length !== bodyStart + (length ?? 0)) return undefined;
  return {
    method: line[1] as string,
    target: line[2] as string,
    headers,
    body: length === undefined || length === 0 ? undefined : text.slice(bodyStart),
    keepAlive,
    host,
    isAddressed,
  };
}
