import type { Queue, Settlement } from '../store/queue.ts';

/** What of a queue a server still needs for the attempts it has begun. */
export type Settling = Pick<Queue, 'extend' | 'settle'>;

/** Asks the server that has the queue by now; text in, text out. Rejects when that cannot be reached. */
export type AskSettling = (text: string) => Promise<string>;

type Question =
  | { readonly kind: 'settle'; readonly settlements: readonly Settlement[] }
  | { readonly kind: 'extend'; readonly receipts: readonly string[]; readonly untilAt: number };

/** The settling of a server whose queue another has: it goes on as if nothing had happened. */
export function createRemoteSettling(ask: AskSettling): Settling {
  const question = async (one: Question) => JSON.parse(await ask(encode(one))) as readonly boolean[];
  return {
    settle: (settlements) => question({ kind: 'settle', settlements }),
    extend: (receipts, untilAt) => question({ kind: 'extend', receipts, untilAt }),
  };
}

/** Answers what {@link createRemoteSettling} asks. Rejects as the queue does. */
export async function answerSettling(queue: Settling, text: string): Promise<string> {
  const one = decode(text);
  const done = one.kind === 'settle' ? queue.settle(one.settlements) : queue.extend(one.receipts, one.untilAt);
  return JSON.stringify(await done);
}

/** A settling whose other side can be changed while it is used. */
export interface SwitchedSettling extends Settling {
  /** Asks another from now on. */
  use(settling: Settling): void;
}

/** Makes a {@link SwitchedSettling} that begins with `first`. */
export function createSwitchedSettling(first: Settling): SwitchedSettling {
  let current = first;
  return {
    settle: (settlements) => current.settle(settlements),
    extend: (receipts, untilAt) => current.extend(receipts, untilAt),
    use(settling) {
      current = settling;
    },
  };
}

/** Bytes are written as `{"$bytes": BASE64}`; nothing else in a settlement is an object of free form. */
function encode(question: Question): string {
  return JSON.stringify(question, function replace(this: Readonly<Record<string, unknown>>, key, value: unknown) {
    const given = this[key];
    if (!(given instanceof Uint8Array)) return value;
    return { $bytes: Buffer.from(given.buffer, given.byteOffset, given.byteLength).toString('base64') };
  });
}

function decode(text: string): Question {
  return JSON.parse(text, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && '$bytes' in value && typeof value.$bytes === 'string'
      ? new Uint8Array(Buffer.from(value.$bytes, 'base64'))
      : value,
  ) as Question;
}
