import { isOpen } from '../fold-held.ts';
import type { Clock } from '../../core/clock.ts';
import { EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { type Acceptor, createAcceptor } from './accept.ts';
import { type Calls, type Change, createCalls } from './calls.ts';
import { createCatchUp } from './catch-up.ts';
import { connectNats } from './connect-nats.ts';
import { createJournal } from './journal.ts';
import { createLedger, type Ledger, type Promised } from './ledger.ts';
import { createSerial } from './serial.ts';
import { createSpace } from './space.ts';
import { createSubjects } from './subjects.ts';

/** The parts of a queue on NATS, joined and kept up to date. */
export interface NatsStore extends AsyncDisposable {
  readonly ledger: Ledger;
  readonly calls: Calls;
  readonly acceptor: Acceptor;
  /** Resolves when the ledger can be used; at once, unless the journal is read anew. */
  ready(): Promise<void>;
  /** Learns what other servers have written until now. */
  catchUp(): Promise<void>;
  /** Queues the items that a change owes, then takes the note of them out of its record. */
  payDebt(id: string, change: Change): Promise<void>;
  /** Does so for whatever a call owes; for who has its turn. */
  payDebtInTurn(id: string): Promise<void>;
  /** Digests of the files of items that are owed. */
  owedFiles(): readonly string[];
  /** Removes idempotency keys for which `isOver` holds, at most `max`, those first that are over first. */
  forgetKeys(isOver: (promised: Promised) => boolean, max: number): Promise<void>;
  /** Removes what says that calls are gone, once nothing older of them can come back. */
  clearGraves(max: number): Promise<void>;
}

/** How a {@link NatsStore} is opened. */
export interface NatsStoreOptions {
  readonly servers: string;
  readonly installation: string;
  readonly timeoutMs: number;
  readonly lookEveryMs: number;
  readonly writer: string;
  readonly clock: Clock;
  readonly logger?: Logger | undefined;
}

/** A request that is not answered is made again after at most this long. */
const REQUEST_TIMEOUT_MS = 2000;
/**
 * NATS writes down within two minutes which messages are gone; one that is killed before may have them again. So what
 * says that a call is gone has to outlive that by far.
 */
const GRAVE_MS = 600_000;

/** Connects, reads the journal, and ends what an earlier server died over. */
export async function openNatsStore(options: NatsStoreOptions): Promise<NatsStore> {
  const { installation, clock, logger, timeoutMs } = options;
  const subjects = createSubjects(installation);
  let lookNow = (): void => {};
  const link = await connectNats({
    servers: options.servers,
    name: `ebb ${installation}`,
    stream: `EBB_${installation}`,
    subjects: subjects.all,
    requestTimeoutMs: Math.min(REQUEST_TIMEOUT_MS, timeoutMs),
    logger,
    onReconnect: () => lookNow(),
  });
  const journal = createJournal({
    link,
    timeoutMs,
    writer: options.writer,
    onWritten: (seq) => catchUp.noteWritten(seq),
  });
  const space = createSpace();
  const catchUp = createCatchUp(journal, (usage) => {
    let open = 0;
    for (const { queued, running } of ledger.index.lanes()) open += queued.size + running.size;
    space.look(usage, open);
  });
  const serial = createSerial();
  const background = new Set<Promise<unknown>>();
  const onDamaged = (subject: string, cause: unknown): void => {
    logger?.error({ err: cause, subject }, 'a message of the queue on NATS cannot be read; its call is left aside');
  };
  const ledger = createLedger({ subjects, monotonic: () => clock.monotonic(), onDamaged });
  const calls = createCalls({ journal, ledger, subjects, serial, onDamaged });
  const acceptor = createAcceptor(journal, ledger, { calls, serial, subjects, space });
  let ready: Promise<void> = Promise.resolve();
  let isClosed = false;

  const later = (work: Promise<unknown>): void => {
    const done = work.catch((error: unknown) => {
      // While NATS cannot be reached nothing else is to be expected.
      const level = error instanceof EbbError ? 'debug' : 'error';
      logger?.[level]({ err: error }, 'could not tidy up the queue on NATS; trying again');
    });
    background.add(done);
    void done.finally(() => background.delete(done));
  };

  const payDebtInTurn = async (id: string): Promise<void> => {
    if (!ledger.mark(id)?.follow) return;
    await acceptor.accept(await calls.owed(id));
    await calls.change(id, (held) => (ledger.mark(id)?.follow ? { held, isPaid: true } : undefined), { whole: true });
  };

  let overdue = new Set<string>();
  /** Ends what was begun and not ended; with `all` also what may be about to end, as nobody else is there yet. */
  const finish = async (all: boolean): Promise<void> => {
    const owing = ledger.owing();
    for (const id of owing) if (all || overdue.has(id)) await calls.inTurn(id, () => payDebtInTurn(id));
    overdue = new Set(owing);
    await (all ? acceptor.finish() : acceptor.confirmRest());
    for (const seq of ledger.takeLeftovers()) await journal.remove(seq);
  };

  let isLost = false;
  const rebuild = async (): Promise<void> => {
    isLost = true;
    await link.ensureStream();
    ledger.clear();
    await catchUp.build(ledger);
    isLost = false;
    await finish(true);
  };

  const look = async (everything: boolean): Promise<void> => {
    if (!isLost && (await catchUp.look(ledger, everything)) === 'lost') {
      isLost = true;
      logger?.error('NATS has lost what it acknowledged, or its stream was removed; going on with what is there');
    }
    if (isLost) {
      ready = rebuild();
      await ready;
    }
    await finish(false);
  };

  let looking: Promise<void> | undefined;
  const lookOnce = async (everything: boolean): Promise<void> => {
    if (isClosed) return;
    looking ??= look(everything).finally(() => {
      looking = undefined;
    });
    await looking;
  };
  lookNow = () => later(lookOnce(false));

  try {
    await rebuild();
  } catch (error) {
    await link[Symbol.asyncDispose]();
    throw error;
  }
  const timer = setInterval(lookNow, options.lookEveryMs);
  timer.unref();

  return {
    ledger,
    calls,
    acceptor,
    payDebtInTurn,
    ready: () => ready,
    catchUp: () => lookOnce(true),

    async payDebt(id, { held, follow = [] }) {
      await acceptor.accept(follow);
      const paying = calls.inTurn(id, () => payDebtInTurn(id));
      // What may be leased again at once would be written as if it had been.
      if (isOpen(held.record)) await paying;
      else later(paying);
    },

    owedFiles: () => ledger.owing().flatMap((id) => ledger.mark(id)?.follow ?? []),

    async forgetKeys(isOver, max) {
      const over = [...ledger.keys]
        .filter(([, { promised }]) => isOver(promised))
        .toSorted(([, left], [, right]) => left.promised.untilAt - right.promised.untilAt);
      for (const [subject, { seq }] of over.slice(0, max)) {
        await journal.remove(seq);
        if (ledger.keys.get(subject)?.seq === seq) ledger.keys.delete(subject);
      }
    },

    async clearGraves(max) {
      const before = clock.monotonic() - GRAVE_MS;
      let cleared = 0;
      for (const [id, { seq, seenAt }] of ledger.graves()) {
        // In the order in which they were seen.
        if (seenAt > before || cleared >= max) break;
        await calls.inTurn(id, async () => {
          if (ledger.graves().get(id)?.seq !== seq) return;
          await journal.remove(seq);
          ledger.dropGrave(id);
        });
        cleared += 1;
      }
    },

    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      clearInterval(timer);
      while (background.size > 0) await Promise.allSettled(background);
      await link[Symbol.asyncDispose]();
    },
  };
}
