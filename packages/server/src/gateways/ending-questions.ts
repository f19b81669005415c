import type { Ending } from '../pool/ending.ts';
import type { SlotRequest } from './messages.ts';

/** The first process knows within a second or so; one that says nothing is not waited for. */
const ANSWER_MS = 2_000;

/** The questions of one gateway process what became of instances that let a call down. */
export class EndingQuestions {
  readonly #send: (message: SlotRequest) => void;
  readonly #open = new Map<number, (ending: Ending | undefined) => void>();
  #lastAsk = 0;

  constructor(send: (message: SlotRequest) => void) {
    this.#send = send;
  }

  /** What became of the instance of a lease, which must not have been given back yet; undefined when nobody knows. */
  ask(lease: number, callId: string): Promise<Ending | undefined> {
    this.#lastAsk += 1;
    const ask = this.#lastAsk;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answered(ask, undefined), ANSWER_MS);
      this.#open.set(ask, (ending) => {
        clearTimeout(timer);
        resolve(ending);
      });
      this.#send({ kind: 'ending', ask, lease, callId });
    });
  }

  /** Takes an answer of the first process. */
  answered(ask: number, ending: Ending | undefined): void {
    const settle = this.#open.get(ask);
    this.#open.delete(ask);
    settle?.(ending);
  }
}
