import { setTimeout as sleep } from 'node:timers/promises';
import { AckPolicy, DeliverPolicy, JetStreamApiError } from '@nats-io/jetstream';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { EbbError } from '../../core/errors.ts';
import type { NatsLink } from './connect-nats.ts';
import type { Usage } from './space.ts';

/** A message of the stream; `head` is what an index needs of it. */
export interface Stored {
  readonly seq: number;
  readonly head: string;
  readonly body: Uint8Array;
}

/** A message as a scan sees it. */
export type Scanned = Omit<Stored, 'body'> & { readonly subject: string };

/** What became of a write that expected a certain last message of its subject. */
export type Written =
  | { readonly kind: 'written'; readonly seq: number }
  /** Another message is the newest one; `found` is it, absent where there is none. */
  | { readonly kind: 'conflict'; readonly found?: Stored | undefined };

/** The newest message of each subject, on a NATS server; every write is a compare-and-set. */
export interface Journal {
  /**
   * Writes the next message of a subject if the newest one still is `expected` (0: there is none). Resolves once the
   * server has acknowledged it. Rejects with STORE_FAILED when it cannot be found out in time whether it was written,
   * with STORAGE_FULL when it was not for want of space.
   */
  write(subject: string, message: Omit<Stored, 'seq'>, expected: number): Promise<Written>;
  /** The message with a sequence number, or undefined where it is no more the newest of its subject. */
  readAt(seq: number): Promise<Stored | undefined>;
  /** The newest message of a subject, as the server that decides writes knows it. */
  readLast(subject: string): Promise<Stored | undefined>;
  /** Removes a message; nothing happens where it is gone. */
  remove(seq: number): Promise<void>;
  /** Hands over every message from `fromSeq` to `toSeq`, oldest first, without bodies, and perhaps later ones. */
  scan(fromSeq: number, toSeq: number, onMessage: (message: Scanned) => void): Promise<void>;
  /** Newest sequence number ever given, and a mark that changes when the stream is made anew or gone. */
  position(): Promise<{ readonly lastSeq: number; readonly stream: string; readonly usage: Usage }>;
}

/** How a {@link Journal} is made. */
export interface JournalOptions {
  readonly link: NatsLink;
  /** How long an operation is tried before it is rejected. */
  readonly timeoutMs: number;
  /** Names this process in what it writes; unique. */
  readonly writer: string;
  /** Called with the number of each message this journal wrote. */
  readonly onWritten: (seq: number) => void;
}

const HEAD = 'Ebb';
/** Tells a write whose acknowledgement was lost from somebody else's. */
const WRITE = 'Ebb-Write';

const WRONG_LAST_SEQUENCE = 10_071;
/** No such message, no such message to delete, no such stream. */
const MISSING: readonly number[] = [10_037, 10_057, 10_059];
/** Limits of the account, the server and the stream, and a disk that is full. */
const NO_SPACE: readonly number[] = [10_002, 10_023, 10_028, 10_047, 10_077];
const RETRY_MS = 50;
/** Messages asked for at once by a scan. */
const SCAN_BATCH = 2000;
const SCAN_WAIT_MS = 10_000;
const SCAN_SILENCE_MS = 200;
const SCAN_CONSUMER_MS = 60_000;

/** Makes the journal of a connection. */
export function createJournal(options: JournalOptions): Journal {
  const { link, writer, onWritten, timeoutMs } = options;
  const { js, jsm, stream } = link;
  let writes = 0;

  /** Tries until it works or the time is over; what the server refuses is not tried again. */
  const insist = async <T>(what: string, attempt: () => Promise<T>): Promise<T> => {
    const until = performance.now() + timeoutMs;
    for (;;) {
      if (link.isClosed) throw new EbbError('STORE_FAILED', 'the queue is closed because the server is stopping');
      const isUp = await link.connected(until - performance.now());
      try {
        if (isUp) return await attempt();
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal) throw refusal;
        if (performance.now() + RETRY_MS >= until) throw failed(what, error);
      }
      if (performance.now() + RETRY_MS >= until) throw failed(what, undefined);
      await sleep(RETRY_MS);
    }
  };

  const readLast = (subject: string) =>
    insist('read', async () => {
      const message = await jsm.streams.getMessage(stream, { last_by_subj: subject }).catch(missing);
      return message ? toStored(message.seq, message.header, message.data) : undefined;
    });

  const scan: Journal['scan'] = async (fromSeq, toSeq, onMessage) => {
    const consumer = await jsm.consumers.add(stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(fromSeq, 1),
      headers_only: true,
      mem_storage: true,
      inactive_threshold: SCAN_CONSUMER_MS * 1_000_000,
    });
    try {
      const reader = await js.consumers.get(stream, consumer.name);
      let delivered = 0;
      let isOver = consumer.num_pending === 0;
      let patience = performance.now() + timeoutMs;
      while (!isOver) {
        const batch = await reader.fetch({ max_messages: SCAN_BATCH, expires: SCAN_WAIT_MS });
        // Messages that are replaced meanwhile do not come any more, and nothing says so.
        const silence = setTimeout(() => batch.stop(), SCAN_SILENCE_MS);
        for await (const { subject, seq, info, headers: head } of batch) {
          delivered += 1;
          if (info.deliverySequence !== delivered) throw failed('read', new Error('messages were lost on the way'));
          onMessage({ subject, seq, head: head?.get(HEAD) ?? '' });
          silence.refresh();
          patience = performance.now() + timeoutMs;
          isOver = seq >= toSeq || info.pending === 0;
          if (isOver) break;
        }
        clearTimeout(silence);
        if (isOver) break;
        const { num_pending, delivered: sent } = await reader.info();
        if (sent.consumer_seq !== delivered) throw failed('read', new Error('messages were lost on the way'));
        isOver = num_pending === 0;
        if (performance.now() > patience) throw failed('read', new Error('the server sends nothing more'));
      }
    } finally {
      await jsm.consumers.delete(stream, consumer.name).catch(() => {});
    }
  };

  const accountUsage = async (): Promise<Usage> => {
    const { storage, limits } = await insist('read', () => jsm.getAccountInfo());
    return { bytes: storage, maxBytes: limits.max_storage > 0 ? limits.max_storage : undefined };
  };

  return {
    readLast,

    async write(subject, { head, body }, expected) {
      checkSize(head, body, link.maxPayloadBytes);
      writes += 1;
      const mark = `${writer}.${writes}`;
      const message = headers();
      message.append(HEAD, head);
      message.append(WRITE, mark);
      const publish = async () => {
        const expect = { lastSubjectSequence: expected };
        const ack = await js.publish(subject, body, { headers: message, expect }).catch(conflict);
        return ack?.seq;
      };
      let seq = await insist('written', publish);
      if (seq === undefined) {
        const found = await insist('read', () =>
          jsm.streams.getMessage(stream, { last_by_subj: subject }).catch(missing),
        );
        if (found?.header.get(WRITE) !== mark) {
          return { kind: 'conflict', found: found ? toStored(found.seq, found.header, found.data) : undefined };
        }
        // An earlier try was written, and its acknowledgement lost.
        seq = found.seq;
      }
      onWritten(seq);
      return { kind: 'written', seq };
    },

    readAt: (seq) =>
      insist('read', async () => {
        const message = await jsm.direct.getMessage(stream, { seq });
        return message ? toStored(message.seq, message.header, message.data) : undefined;
      }),

    async remove(seq) {
      await insist('written', () => jsm.streams.deleteMessage(stream, seq, false).catch(missing));
    },

    scan: (fromSeq, toSeq, onMessage) =>
      scan(fromSeq, toSeq, onMessage).catch((error: unknown) => {
        throw refusalOf(error) ?? failed('read', error);
      }),

    async position() {
      const info = await insist('read', () => jsm.streams.info(stream).catch(missing));
      const maxBytes = info?.config.max_bytes ?? 0;
      const usage = maxBytes > 0 ? { bytes: info?.state.bytes ?? 0, maxBytes } : await accountUsage();
      return { lastSeq: info?.state.last_seq ?? 0, stream: String(info?.created), usage };
    },
  };
}

function toStored(seq: number, header: MsgHdrs | undefined, body: Uint8Array): Stored {
  return { seq, head: header?.get(HEAD) ?? '', body };
}

function checkSize(head: string, body: Uint8Array, maxBytes: number): void {
  // The headers of the protocol take some room as well.
  const bytes = Buffer.byteLength(head) + body.length + 512;
  if (bytes <= maxBytes) return;
  throw new EbbError(
    'STORE_FAILED',
    `a call of ${bytes} bytes is larger than the ${maxBytes} bytes that a message on NATS may have; raise "max_payload" of the NATS server`,
  );
}

function missing(error: unknown): undefined {
  if (error instanceof JetStreamApiError && MISSING.includes(error.code)) return;
  throw error;
}

function conflict(error: unknown): undefined {
  if (error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE) return;
  throw error;
}

/** What the server says no to, whatever is tried. */
function refusalOf(error: unknown): EbbError | undefined {
  if (error instanceof EbbError) return error;
  if (!(error instanceof JetStreamApiError)) return undefined;
  if (NO_SPACE.includes(error.code)) {
    return new EbbError(
      'STORAGE_FULL',
      `NATS has no space left for the queue (${error.message}); raise its limits or free some space`,
      { cause: error },
    );
  }
  // Servers that are about to be ready, or choose a leader, say so with codes of this kind.
  if (error.status >= 500) return undefined;
  return failed('written', error);
}

function failed(what: string, cause: unknown): EbbError {
  const why = cause instanceof Error ? ` (${cause.message})` : '';
  return new EbbError('STORE_FAILED', `the queue on NATS could not be ${what}${why}; check that NATS is running`, {
    cause,
  });
}
