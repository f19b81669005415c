import { connect } from 'node:net';
import { join } from 'node:path';
import { EbbError } from '../../core/errors.ts';
import { readServerFile } from '../installation.ts';
import { createLineChannel, type LineChannel } from './line-channel.ts';
import {
  type FromPredecessor,
  type FromSuccessor,
  portSocketName,
  relaySocketName,
  takeoverSocketName,
} from './messages.ts';

/** Longest time the running server may take for a step other than ending the changes under way. */
const STEP_MS = 10_000;
/** Longest time for it to answer a question: everything that is compared with the engine waits for what it still has. */
const HELD_MS = 2_000;
/** Longest time for changes under way; the running server gives up after a minute and says why. */
const LEND_MS = 90_000;

type Answer = Extract<FromPredecessor, { readonly kind: 'held' | 'aborted' }>;

/** The server that runs on a data directory, for the one that takes over from it. */
export interface Predecessor extends Disposable {
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  readonly localToken: string;
  /** Runs of the server that may still have asynchronous calls while it is there. */
  readonly owners: readonly string[];
  /** Unix socket where it gives its port away. */
  readonly portSocket: string;
  /** Unix socket where this server is to take what the other passes on. */
  readonly relaySocket: string;
  /** Whether it still runs. */
  readonly isThere: boolean;
  /** Resolves when it has ended. */
  readonly gone: Promise<void>;
  /** Has it close the store. Throws TAKEOVER_FAILED. */
  lend(): Promise<void>;
  /** Has it pass calls on and give up what is idle. Throws TAKEOVER_FAILED. */
  take(): Promise<void>;
  /** Says that connections are accepted here. */
  open(): void;
  /** The instances it still has, none when it has ended; undefined when it does not say so within two seconds. */
  held(): Promise<ReadonlySet<string> | undefined>;
  /**
   * Ends the attempt of an asynchronous call, which is then cancelled with that message; false when none runs there, the
   * server has ended, or it does not answer within two seconds.
   */
  abort(id: string, message: string): Promise<boolean>;
  /** Has `answer` do what it wants done in the queue of asynchronous calls; what it rejects with is told as a failure. */
  onCalls(answer: (text: string) => Promise<string>): void;
  /** Calls `listener` when instances have become free, and when the server has ended. */
  onReleased(listener: () => void): void;
}

/**
 * Speaks with the server that runs on a data directory; undefined when there is none. Throws TAKEOVER_FAILED when it
 * cannot be replaced.
 */
export async function callPredecessor(options: {
  readonly dataDir: string;
  readonly runDir: string;
  readonly version: string;
  /** How long {@link Predecessor.held} and {@link Predecessor.abort} wait. Default: 2 s. */
  readonly heldMs?: number;
}): Promise<Predecessor | undefined> {
  const { dataDir, runDir, version, heldMs = HELD_MS } = options;
  const pid = readServerFile(dataDir)?.pid;
  const channel = pid === undefined ? undefined : await dial(join(runDir, takeoverSocketName(pid)));
  if (!channel || pid === undefined) return undefined;

  let expected: { readonly kinds: readonly string[]; readonly resolve: (message: FromPredecessor) => void } | undefined;
  const asked = new Map<number, (answer: Answer | undefined) => void>();
  let asks = 0;
  let isThere = true;
  let onReleased = () => {};
  let answerCalls: ((text: string) => Promise<string>) | undefined;
  channel.onMessage((message) => {
    if (message.kind === 'released') onReleased();
    else if (message.kind === 'held' || message.kind === 'aborted') {
      asked.get(message.ask)?.(message);
      asked.delete(message.ask);
    } else if (message.kind === 'calls') {
      const { ask, text } = message;
      const answered = answerCalls?.(text) ?? Promise.resolve(undefined);
      void answered
        .catch(() => undefined)
        .then((answer) => channel.send({ kind: 'calls', ask, ...(answer === undefined ? {} : { text: answer }) }));
    } else if (expected?.kinds.includes(message.kind)) expected.resolve(message);
  });
  void channel.closed.then(() => {
    isThere = false;
    for (const answer of asked.values()) answer(undefined);
    asked.clear();
    onReleased();
  });
  /** Asks a question whose answer says which it is for; undefined when none comes in time, or any more. */
  const question = (ask: (number: number) => FromSuccessor): Promise<Answer | undefined> => {
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    asks += 1;
    const number = asks;
    const timer = setTimeout(() => {
      asked.delete(number);
      resolve(undefined);
    }, heldMs).unref();
    asked.set(number, (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    channel.send(ask(number));
    return promise;
  };
  /** Sends a message and waits for what answers it. */
  const step = async (message: FromSuccessor, kinds: readonly string[], limitMs: number): Promise<FromPredecessor> => {
    const { promise, resolve, reject } = Promise.withResolvers<FromPredecessor>();
    const fail = (why: string) => reject(refusal(pid, why));
    const timer = setTimeout(() => fail(`it did not answer "${message.kind}" in time`), limitMs);
    void channel.closed.then(() => fail('it ended or gave up; its log says why'));
    expected = { kinds, resolve };
    channel.send(message);
    try {
      const answer = await promise;
      if (answer.kind === 'refused') throw refusal(pid, answer.message);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  };

  const welcome = await step({ kind: 'hello', pid: process.pid, version }, ['welcome', 'refused', 'closing'], STEP_MS);
  if (welcome.kind === 'closing') {
    // What it has is free once it has ended.
    channel.close();
    return undefined;
  }
  if (welcome.kind !== 'welcome') throw refusal(pid, 'it gave an answer that is not known here');
  const { host, port, localToken, owners } = welcome;
  return {
    pid,
    host,
    port,
    localToken,
    owners,
    portSocket: join(runDir, portSocketName(pid)),
    relaySocket: join(runDir, relaySocketName(process.pid)),
    get isThere() {
      return isThere;
    },
    gone: channel.closed,
    lend: async () => void (await step({ kind: 'lend' }, ['lent', 'refused'], LEND_MS)),
    take: async () =>
      void (await step({ kind: 'take', relay: join(runDir, relaySocketName(process.pid)) }, ['given'], STEP_MS)),
    open: () => channel.send({ kind: 'open' }),
    async held() {
      const answer = isThere ? await question((ask) => ({ kind: 'held', ask })) : undefined;
      if (answer?.kind === 'held') return new Set(answer.ids);
      return isThere ? undefined : new Set();
    },
    async abort(id, message) {
      const answer = isThere ? await question((ask) => ({ kind: 'abort', ask, id, message })) : undefined;
      return answer?.kind === 'aborted' && answer.isDone;
    },
    onCalls: (answer) => {
      answerCalls = answer;
    },
    onReleased: (listener) => {
      onReleased = listener;
    },
    [Symbol.dispose]: () => channel.close(),
  };
}

function refusal(pid: number, why: string): EbbError {
  return new EbbError('TAKEOVER_FAILED', `the running server (process ${pid}) cannot be replaced: ${why}`);
}

/** Undefined where nobody listens: what was written about a server outlives one that was killed. */
async function dial(path: string): Promise<LineChannel<FromPredecessor, FromSuccessor> | undefined> {
  const socket = connect(path);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  return (await promise) ? createLineChannel(socket) : undefined;
}
