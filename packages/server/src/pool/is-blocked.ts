import { dirname, join } from 'node:path';
import { HEALTH_PATH } from '@ebb/contract';
import { answersWithin } from '../engines/await-ready.ts';
import type { Target } from '../engines/engine.ts';
import { PENDING_SOCKET_NAME, sealSocket } from '../engines/instance-dir.ts';

/** A runtime whose event loop runs answers within this, also on a busy machine. */
const ANSWER_MS = 1_000;

/**
 * Whether the event loop of a managed runtime stands that does not become ready: it listens before it loads the
 * handler, on a socket that has its name only afterwards unless it was a spare, and answers unless it is blocked.
 */
export async function isBlocked(target: Target, isNamed: boolean): Promise<boolean> {
  if (target.kind !== 'unix') return false;
  const path = isNamed ? target.path : join(dirname(target.path), PENDING_SOCKET_NAME);
  try {
    await sealSocket(path);
  } catch {
    return true;
  }
  return !(await answersWithin({ kind: 'unix', path }, HEALTH_PATH, ANSWER_MS));
}
