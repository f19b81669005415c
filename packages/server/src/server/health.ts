import type { HealthResource } from '@ebb/contract';
import type { Engine } from '../engines/engine.ts';
import type { Front } from './front.ts';

/** How long an answer about the engine's health holds. */
const HEALTH_MS = 2_000;

/** How a server is. */
export interface Health {
  /** Whether it takes no new calls. */
  draining: boolean;
  /** The open front, once there is one. */
  front?: Pick<Front, 'describe'>;
  /** Anybody may ask; the engine is asked once in a while only. */
  now(): Promise<HealthResource>;
}

/** Makes what says how a server is. */
export function createHealth(engine: Pick<Engine, 'name' | 'probe'>): Health {
  const engineHealth = rememberFor(HEALTH_MS, async () => {
    const status = await engine.probe();
    return { name: engine.name, ok: status.ok, ...(status.ok ? {} : { message: status.message }) };
  });
  return {
    draining: false,
    async now() {
      const state = await engineHealth();
      return {
        status: this.draining ? 'draining' : state.ok ? 'ok' : 'degraded',
        engine: state,
        ...this.front?.describe(),
      };
    },
  };
}

/** Calls `ask` at most once in `ms`; callers in between share its answer. */
function rememberFor<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    if (!answer) {
      answer = ask();
      setTimeout(() => {
        answer = undefined;
      }, ms).unref();
    }
    return answer;
  };
}
