import type { ErrorCode } from '@ebb/contract';
import type { InstanceExit } from '../engines/engine.ts';

/** The codes of starts that fail because of the function. */
const START_FAILURES = [
  'START_FAILED',
  'HANDLER_FAILED',
  'NEVER_READY',
  'INSTANCE_BLOCKED',
  'OUT_OF_MEMORY',
] as const satisfies readonly ErrorCode[];

/** The code of a start that failed because of the function. */
export type StartFailure = (typeof START_FAILURES)[number];

/** Whether a code says that the function itself does not start. */
export function isStartFailure(code: ErrorCode): code is StartFailure {
  return (START_FAILURES as readonly ErrorCode[]).includes(code);
}

/** Exit codes of the managed runtime while it loads a handler (see runtimes/node/src/load-failure.ts). */
const HANDLER_FAILED_EXIT = 70;
const NEVER_SETTLED_EXIT = 13;

/** What is known of a start that failed. */
export interface StartFacts {
  /** How the instance ended, if it did. */
  readonly exit: InstanceExit | undefined;
  /** Whether it runs code in a managed runtime, whose exit codes have a meaning. */
  readonly isManaged: boolean;
  /** Whether its time was over. */
  readonly isLate: boolean;
  /** Whether its event loop is known to stand. */
  readonly isBlocked: boolean;
}

/** Which of the failures a start that came to nothing is. */
export function classifyStartFailure({ exit, isManaged, isLate, isBlocked }: StartFacts): StartFailure {
  if (exit?.outOfMemory) return 'OUT_OF_MEMORY';
  if (exit && isManaged && exit.code === HANDLER_FAILED_EXIT) return 'HANDLER_FAILED';
  if (exit && isManaged && exit.code === NEVER_SETTLED_EXIT) return 'NEVER_READY';
  if (exit || !isLate) return 'START_FAILED';
  return isBlocked ? 'INSTANCE_BLOCKED' : 'NEVER_READY';
}
