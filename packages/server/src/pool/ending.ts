import { setTimeout as sleep } from 'node:timers/promises';
import { answersWithin, describeExit } from '../engines/await-ready.ts';
import type { InstanceExit } from '../engines/engine.ts';
import type { Launched } from './launcher.ts';
import type { LogPump } from './log-pump.ts';

/** How long the engine has to say that an instance ended which cut a connection. */
const KNOWN_WITHIN_MS = 1_000;
/** A process that ends closes its connections one by one, that on which it listens among the last; it is asked after this. */
const ASK_AFTER_MS = 50;
/** How long the last words are waited for. */
const LAST_WORDS_MS = 200;
/** What V8 says when JavaScript's objects reach their limit, before it aborts. */
const HEAP_WORDS = 'JavaScript heap out of memory';

/** What became of an instance that let a call down. */
export interface Ending {
  /** As the end of a sentence, such as "was killed by SIGKILL"; undefined when it did not end. */
  readonly how?: string;
  readonly outOfMemory: boolean;
  /** What the call wrote, oldest first. */
  readonly lines: readonly string[];
}

/**
 * What became of an instance that cut a connection, once that is known; soon, if it lives. It is asked for `path` to find
 * that out, or for a connection alone. Only lines of the call itself are told: others may be other callers' matter.
 */
export async function awaitEnding(
  { instance, exited, log }: Launched,
  path: string | undefined,
  callId: string,
): Promise<Ending> {
  const known = Promise.withResolvers<InstanceExit | undefined>();
  void exited.then(known.resolve);
  const timer = setTimeout(known.resolve, KNOWN_WITHIN_MS, undefined);
  void sleep(ASK_AFTER_MS)
    .then(() => answersWithin(instance.target, path, KNOWN_WITHIN_MS))
    .then((isAlive) => isAlive && known.resolve(undefined));
  const exit = await known.promise;
  clearTimeout(timer);
  if (exit) await lastWords(log);
  const told = exit && withLastWords(exit, log.tail());
  return {
    ...(told === undefined ? {} : { how: describeExit(told) }),
    outOfMemory: told?.outOfMemory === true,
    lines: log.tail(callId),
  };
}

/** Resolves when an instance that ended has said all, or soon. */
export async function lastWords(log: LogPump): Promise<void> {
  await Promise.race([log.ended, sleep(LAST_WORDS_MS)]);
}

/** An exit that says out of memory also where only what the instance wrote last does: V8 aborts before the limit. */
export function withLastWords(exit: InstanceExit, lines: readonly string[]): InstanceExit {
  if (exit.outOfMemory || exit.signal !== 'SIGABRT') return exit;
  return { ...exit, outOfMemory: lines.some((line) => line.includes(HEAP_WORDS)) };
}
