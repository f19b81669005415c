import type { Readable } from 'node:stream';
import { ATTEMPT_HEADER, DELIVERY_ID_HEADER, SIGNATURE_HEADER } from '@ebb/contract';
import type { Clock } from '../core/clock.ts';
import { asEbbError } from '../core/errors.ts';
import type { SigningKeys } from '../core/ports.ts';
import type { Lease, Payload, StoredResult } from '../store/queue.ts';
import type { Delivered, Deliverer } from './deliverer.ts';
import type { Egress, EgressOutcome, EgressRequest } from './egress/egress.ts';
import { parseRetryAfter } from './parse-retry-after.ts';
import { sha256, signDelivery } from './sign-delivery.ts';
import { URL_TIMEOUT_MS } from './url-policy.ts';

/** Of what a receiver answers, this much is kept, for people who look for a mistake. */
const KEPT_ANSWER_BYTES = 4096;
const USER_AGENT = 'ebb-queue-worker';
const DIGEST_PREFIX = 'sha256:';

/** Where bodies that are too large for a record are kept. */
interface BodyFiles {
  readonly open: (digest: string) => Readable;
}

/** What deliveries to addresses are made with. */
export interface DeliverUrlOptions {
  readonly egress: Egress;
  readonly signingKeys: Pick<SigningKeys, 'get'>;
  readonly files: BodyFiles;
  readonly clock: Pick<Clock, 'now'>;
  /** Default: 30 s. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Makes the deliverer of outcomes to addresses: one signed POST an attempt. What the receiver has to leave out when it
 * comes twice is the delivery's id, which stays the same, also when a dead letter is redriven. An address that must not be called, or that answers with a
 * redirect, is refused for good; whether another answer is tried again is for the policy to say.
 */
export function createUrlDeliverer(options: DeliverUrlOptions): Deliverer {
  const { egress, signingKeys, files, clock, timeoutMs = URL_TIMEOUT_MS } = options;

  const requestOf = async ({ record, attempt }: Lease, url: string): Promise<EgressRequest> => {
    const { namespace, headers, body, origin } = record;
    const id = origin?.first ?? record.id;
    const { bytes, digest } = bodyOf(body, files);
    const delivery = { seconds: Math.floor(clock.now() / 1000), id, bodyDigest: digest };
    const keys = await signingKeys.get(namespace);
    const signature = signDelivery(keys, delivery);
    const own = { 'user-agent': USER_AGENT, [DELIVERY_ID_HEADER]: id, [ATTEMPT_HEADER]: `${attempt}` };
    return {
      url,
      body: bytes,
      timeoutMs,
      headers: [...headers, ...Object.entries({ ...own, [SIGNATURE_HEADER]: signature }).flat()],
    };
  };

  return {
    async deliver(lease, signal) {
      const startedAt = clock.now();
      const { target } = lease.record;
      const ended = () => ({ startedAt, endedAt: clock.now() });
      if (target.kind !== 'url') return { verdict: 'refused', message: 'it is not for an address', ...ended() };
      let request: EgressRequest;
      try {
        request = await requestOf(lease, target.url);
      } catch (cause) {
        const error = asEbbError(cause);
        const verdict = error.code === 'NAMESPACE_NOT_FOUND' ? 'gone' : 'platform';
        return { verdict, errorCode: error.code, status: error.status, message: error.message, ...ended() };
      }
      const outcome = await egress.post(request, signal);
      return { ...describe(outcome, URL.parse(target.url)?.host ?? '', clock.now()), ...ended() };
    },
  };
}

function describe(outcome: EgressOutcome, host: string, now: number): Omit<Delivered, 'startedAt' | 'endedAt'> {
  switch (outcome.kind) {
    case 'aborted':
      return { verdict: 'aborted' };
    case 'failed':
      return { verdict: 'failed', message: outcome.message };
    case 'refused':
      return { verdict: 'refused', errorCode: 'DESTINATION_REFUSED', message: outcome.message };
    case 'answered': {
      const { status, headers } = outcome;
      const answered = { status, result: resultOf(outcome) };
      if (status >= 300 && status < 400) {
        return {
          verdict: 'refused',
          message: `${host} answered with a redirect (${status}), which is not followed; name the address it leads to`,
          ...answered,
        };
      }
      const retryAfterMs = parseRetryAfter(headerOf(headers, 'retry-after'), now);
      return {
        verdict: 'answered',
        ...(status < 300 ? {} : { message: `${host} answered with ${status}` }),
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        ...answered,
      };
    }
  }
}

function resultOf({ status, headers, body }: Extract<EgressOutcome, { kind: 'answered' }>): StoredResult {
  const type = headerOf(headers, 'content-type');
  const bytes = body.slice(0, KEPT_ANSWER_BYTES);
  return {
    status,
    headers: type === undefined ? [] : ['content-type', type],
    body: bytes.length === 0 ? { kind: 'none' } : { kind: 'bytes', bytes },
  };
}

/** The body to send and the SHA-256 of it, which names a body that is kept in a file. */
function bodyOf(body: Payload, files: BodyFiles): { bytes: EgressRequest['body']; digest: string } {
  if (body.kind === 'file') {
    const { digest, sizeBytes } = body;
    return { bytes: { sizeBytes, open: () => files.open(digest) }, digest: digest.slice(DIGEST_PREFIX.length) };
  }
  const bytes = body.kind === 'bytes' ? body.bytes : new Uint8Array();
  return { bytes, digest: sha256(bytes) };
}

function headerOf(headers: readonly string[], name: string): string | undefined {
  const at = headers.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name);
  return at === -1 ? undefined : headers[at + 1];
}
