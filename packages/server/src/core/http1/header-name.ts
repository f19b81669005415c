/** Names that nearly every request or answer is made of, in lower case. */
const COMMON = [
  'accept',
  'accept-encoding',
  'accept-language',
  'access-control-allow-origin',
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'cookie',
  'date',
  'etag',
  'expect',
  'expires',
  'host',
  'if-modified-since',
  'if-none-match',
  'keep-alive',
  'last-modified',
  'location',
  'origin',
  'pragma',
  'referer',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'server',
  'set-cookie',
  'strict-transport-security',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'vary',
  'via',
  'x-call-id',
  'x-ebb-alias',
  'x-ebb-version',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-powered-by',
  'x-request-id',
];

/** RFC 9110 section 5.6.2: what a header's name is made of. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The usual spellings of {@link COMMON}: as they are, and with capitals. */
const LOWER: ReadonlyMap<string, string> = new Map(
  COMMON.flatMap((name): [string, string][] => [
    [name, name],
    [name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase()), name],
  ]),
);

/** A header's name in lower case; one look-up for the common ones, which are compared cheaply after it. */
export function lowerHeaderName(name: string): string {
  return LOWER.get(name) ?? name.toLowerCase();
}

/** Whether text can be a header's name. */
export function isHeaderName(text: string): boolean {
  return LOWER.has(text) || TOKEN.test(text);
}
