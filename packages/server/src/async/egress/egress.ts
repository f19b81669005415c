import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import { EbbError } from '../../core/errors.ts';
import { decideAddresses, decideUrl, type EgressExceptions, parseExceptions } from './decide-egress.ts';
import { createHostResolver, type ResolveHost } from './resolve-host.ts';

/** What is posted to an address. */
export interface EgressRequest {
  readonly url: string;
  /** Names and values alternate; `host`, `connection` and what frames the body are set here. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | { readonly sizeBytes: number; readonly open: () => Readable };
  /** From the look-up of the name to the end of the answer. */
  readonly timeoutMs: number;
}

/** What became of it. */
export type EgressOutcome =
  /** Redirects are answers like any other: nobody follows them. */
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: readonly string[];
      readonly body: Uint8Array;
    }
  /** The address must not be called, now or later. */
  | { readonly kind: 'refused'; readonly message: string }
  /** No whole answer came; it may the next time. */
  | { readonly kind: 'failed'; readonly message: string }
  /** The signal aborted. */
  | { readonly kind: 'aborted' };

/** The one way out to addresses that users name. */
export interface Egress {
  /** Throws DESTINATION_REFUSED for what would be refused whatever its name leads to. */
  check(url: string): void;
  /** Posts to an address; never rejects. */
  post(request: EgressRequest, signal?: AbortSignal): Promise<EgressOutcome>;
}

/** What the way out is built from. */
export interface EgressOptions {
  /** Hosts and ranges that may be called although they are private, as the setting `callbackAllow` has them. */
  readonly allow: string | undefined;
  /** Largest body of an answer. Default 64 KiB. */
  readonly maxAnswerBytes?: number;
  /** Default: DNS, then the resolver of the host. */
  readonly resolve?: ResolveHost;
}

/**
 * Makes the guarded way out. The name of an address is looked up once, all it leads to must be allowed, and only that
 * is connected to, whatever the name leads to a moment later; Host and TLS still go by the name. No proxy is used, no
 * connection kept, no redirect followed. Throws CONFIG_INVALID when `allow` is not what the setting allows.
 */
export function createEgress(options: EgressOptions): Egress {
  const { maxAnswerBytes = 64 * 1024, resolve = createHostResolver() } = options;
  const exceptions = exceptionsOf(options.allow);

  const find = async (url: URL): Promise<readonly string[] | Extract<EgressOutcome, { kind: 'refused' }>> => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const addresses = isIP(host) === 0 ? await resolve(host) : [host];
    const decision = decideAddresses(host, addresses, exceptions);
    return decision.kind === 'allowed'
      ? addresses
      : { kind: 'refused', message: refusal(url.href, decision.reason, EXCEPTIONS) };
  };

  return {
    check(text) {
      const decision = decideUrl(text);
      if (decision.kind === 'refused') throw new EbbError('DESTINATION_REFUSED', refusal(text, decision.reason));
      const host = decision.url.hostname.replace(/^\[|\]$/g, '');
      if (isIP(host) === 0) return;
      const addressed = decideAddresses(host, [host], exceptions);
      if (addressed.kind === 'refused') {
        throw new EbbError('DESTINATION_REFUSED', refusal(decision.url.href, addressed.reason, EXCEPTIONS));
      }
    },

    async post(request, signal) {
      const decision = decideUrl(request.url);
      if (decision.kind === 'refused') return { kind: 'refused', message: refusal(request.url, decision.reason) };
      const { url } = decision;
      const late = AbortSignal.timeout(request.timeoutMs);
      const ended = signal ? AbortSignal.any([signal, late]) : late;
      try {
        const found = await unlessAborted(find(url), ended);
        if ('kind' in found) return found;
        return await send(url, found, request, maxAnswerBytes, ended);
      } catch (error) {
        if (signal?.aborted === true) return { kind: 'aborted' };
        if (late.aborted) {
          return { kind: 'failed', message: `${url.host} did not answer within ${request.timeoutMs / 1000} s` };
        }
        return { kind: 'failed', message: describe(url.host, error) };
      }
    },
  };
}

/** Connects to one of the addresses and to nothing else. */
function send(
  url: URL,
  addresses: readonly string[],
  { headers, body }: EgressRequest,
  maxAnswerBytes: number,
  signal: AbortSignal,
): Promise<EgressOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<EgressOutcome>();
  const sizeBytes = body instanceof Uint8Array ? body.length : body.sizeBytes;
  const options: RequestOptions = {
    method: 'POST',
    agent: false,
    lookup: pinned(addresses),
    signal,
    headers: ['host', url.host, 'connection', 'close', 'content-length', String(sizeBytes), ...plain(headers)],
  };
  const outgoing = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options);
  outgoing.on('error', reject);
  // An answer that switches protocols is none; without this the promise would wait for the time limit.
  const onClose = () => reject(new Error('the connection was closed without an answer'));
  outgoing.on('close', onClose);
  outgoing.on('response', (answer) => {
    outgoing.off('close', onClose);
    readAnswer(answer, maxAnswerBytes)
      .then(resolve, reject)
      .finally(() => outgoing.destroy());
  });
  if (body instanceof Uint8Array) outgoing.end(body);
  // Also closes what was opened when the other side wants no more of it.
  else pipeline(body.open(), outgoing, (error) => (error ? reject(error) : undefined));
  return promise;
}

/** Answers every look-up with what was checked; a host that is an address is never looked up. */
function pinned(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, { all }, callback) => {
    if (all === true) return callback(null, found);
    callback(null, found[0]?.address ?? '', found[0]?.family);
  };
}

async function readAnswer(answer: IncomingMessage, maxBytes: number): Promise<EgressOutcome> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    // What it says beyond that interests nobody, but it did answer.
    if (sizeBytes > maxBytes) break;
    chunks.push(chunk);
  }
  return { kind: 'answered', status: answer.statusCode ?? 0, headers: answer.rawHeaders, body: Buffer.concat(chunks) };
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason as Error);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Set by this room alone: they say where a request goes and where it ends. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'te',
  'trailer',
  'upgrade',
  'expect',
]);

/** What may be sent as it is; a value that would end its line early is not sent at all. */
function plain(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const [name = '', value = ''] = [headers[index], headers[index + 1]];
    const isSound = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) && /^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(value);
    if (isSound && !OWN_HEADERS.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}

function exceptionsOf(allow: string | undefined): EgressExceptions {
  const parsed = parseExceptions(allow ?? '');
  if (!('invalid' in parsed)) return parsed;
  throw new EbbError(
    'CONFIG_INVALID',
    `callbackAllow has "${parsed.invalid}" but must be hosts and address ranges such as "hooks.internal,10.1.0.0/16", separated by commas`,
  );
}

/** Only where an address leads can be excepted, nothing about how it is written. */
const EXCEPTIONS = '; the server’s setting "callbackAllow" makes exceptions';

/** What is behind the host may be a secret, and what is before it is one. */
function refusal(what: string, reason: string, next = ''): string {
  const host = URL.parse(what)?.host || what.replace(/^.*@/s, '').replace(/[/?#].*$/s, '');
  return `the address ${JSON.stringify(host.slice(0, 100))} ${reason}, so it is not called${next}`;
}

function describe(host: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) return `the name ${host} cannot be resolved (${code})`;
  if (code === 'ECONNREFUSED') return `${host} refused the connection`;
  return `${host} cannot be reached: ${error instanceof Error ? error.message : String(error)}`;
}
