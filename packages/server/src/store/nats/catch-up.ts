import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import type { Usage } from './space.ts';

/** Learns what other servers wrote, and notices when the server has lost what it had acknowledged. */
export interface CatchUp {
  /** Notes a message that this process wrote, and therefore knows. */
  noteWritten(seq: number): void;
  /** Reads the whole journal into a ledger. */
  build(ledger: Ledger): Promise<void>;
  /**
   * Reads what others wrote before the last look, or with `everything` up to now. `lost` when the journal is shorter
   * than what is known of it, or another one: everything has to be read anew.
   */
  look(ledger: Ledger, everything: boolean): Promise<'current' | 'lost'>;
}

/**
 * Makes a {@link CatchUp}; `onUsage` hears how full the stream is. Every message of a stream has the number after the one before it, so as long as this process
 * knows all of them as its own there is nothing to read, and no consumer is needed.
 */
export function createCatchUp(journal: Journal, onUsage: (usage: Usage) => void): CatchUp {
  /** Everything up to here is known. */
  let knownSeq = 0;
  /** Own messages further on. */
  const ahead = new Set<number>();
  let stream = '';
  /** How far the journal reached at the last look; what is unknown of that by now is not on its way here. */
  let reached = 0;

  const advance = (): void => {
    while (ahead.delete(knownSeq + 1)) knownSeq += 1;
  };

  return {
    noteWritten(seq) {
      if (seq <= knownSeq) return;
      ahead.add(seq);
      advance();
    },

    async build(ledger) {
      ahead.clear();
      const position = await journal.position();
      knownSeq = position.lastSeq;
      reached = position.lastSeq;
      stream = position.stream;
      if (position.lastSeq > 0) await journal.scan(1, position.lastSeq, (message) => ledger.apply(message));
      advance();
      onUsage(position.usage);
    },

    async look(ledger, everything) {
      const before = knownSeq;
      const position = await journal.position();
      if (position.stream !== stream || position.lastSeq < before) return 'lost';
      if (everything) reached = position.lastSeq;
      if (reached > knownSeq) {
        let last = knownSeq;
        await journal.scan(knownSeq + 1, reached, (message) => {
          ledger.apply(message);
          last = message.seq;
        });
        knownSeq = Math.max(knownSeq, last, reached);
        for (const seq of ahead) if (seq <= knownSeq) ahead.delete(seq);
        advance();
      }
      reached = position.lastSeq;
      onUsage(position.usage);
      return 'current';
    },
  };
}
