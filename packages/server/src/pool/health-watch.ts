import { type FunctionSpec, parseGoDurationMs } from '@ebb/contract';
import { askStatus, isGood, isRefusal } from '../engines/await-ready.ts';
import type { Target } from '../engines/engine.ts';
import { healthQuestion, type Question, readyQuestion } from './question-path.ts';

const PREFIX = 'com.openfaas.';
const DEFAULTS = { periodSeconds: 2, timeoutSeconds: 1, failureThreshold: 3, successThreshold: 1 } as const;
/** Longest time and largest count that an annotation can ask for. */
const MOST = 3_600;

/** One question that is put to an instance again and again. */
export interface Probe {
  readonly question: Question;
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  /** So many bad answers in a row count. */
  readonly failures: number;
  /** So many good ones in a row count. */
  readonly successes: number;
}

/** What is asked of the instances of a version while they serve. */
export interface Probes {
  /** Who fails it is replaced. */
  readonly health: Probe;
  /** Who fails it gets no calls until it passes again; absent where it is the same question. */
  readonly ready?: Probe;
}

/**
 * What is to be asked of instances of an image made for OpenFaaS, by its annotations `com.openfaas.health.http.*` and
 * `com.openfaas.ready.http.*`; what these do not say is every 2 seconds, for 1 second, 3 times. Undefined for others.
 */
export function probesOf(spec: FunctionSpec): Probes | undefined {
  const health = healthQuestion(spec);
  const ready = readyQuestion(spec);
  if (spec.openfaas === undefined || spec.runtime !== undefined || !health || !ready) return undefined;
  return {
    health: probeOf(health, 'health', spec.annotations),
    ...(health.path === ready.path ? {} : { ready: probeOf(ready, 'ready', spec.annotations) }),
  };
}

function probeOf(question: Question, kind: 'health' | 'ready', annotations: FunctionSpec['annotations']): Probe {
  const numberOf = (field: string): number | undefined => {
    const text = annotations[`${PREFIX}${kind}.http.${field}`] ?? '';
    return /^\d{1,6}$/.test(text) ? Math.min(Number(text), MOST) : undefined;
  };
  const positive = (field: keyof typeof DEFAULTS) => Math.max(1, numberOf(field) ?? DEFAULTS[field]);
  // An older form is a duration.
  const olderMs = parseGoDurationMs(annotations[`${PREFIX}${kind}.http.initialDelay`] ?? '') ?? 0;
  const seconds = numberOf('initialDelaySeconds');
  return {
    question,
    initialDelayMs: seconds === undefined ? Math.min(olderMs, MOST * 1000) : seconds * 1000,
    periodMs: positive('periodSeconds') * 1000,
    timeoutMs: positive('timeoutSeconds') * 1000,
    failures: positive('failureThreshold'),
    successes: positive('successThreshold'),
  };
}

/** What a {@link watchHealth} is made with. */
export interface HealthWatchOptions {
  readonly target: Target;
  readonly probes: Probes;
  /** Whether the instance cannot be asked now, because it stands still. */
  readonly isResting: () => boolean;
  /** Called once, when it failed its health question too often. */
  readonly onFailed: (path: string) => void;
  /** Called when it is not to have calls, and when it may again. */
  readonly onReady: (isReady: boolean) => void;
}

/** Asks an instance how it is until it is disposed. Asking never keeps the process alive. */
export function watchHealth({ target, probes, isResting, onFailed, onReady }: HealthWatchOptions): Disposable {
  const ended = new AbortController();
  const { health, ready } = probes;
  let isReady = true;
  repeat(health, (bad) => {
    if (bad < health.failures) return;
    ended.abort();
    onFailed(health.question.path);
  });
  if (ready) {
    repeat(ready, (bad, good) => {
      const next = isReady ? bad < ready.failures : good >= ready.successes;
      if (next === isReady) return;
      isReady = next;
      onReady(isReady);
    });
  }
  return { [Symbol.dispose]: () => ended.abort() };

  /** Tells after each answer how many bad and how many good ones came in a row. */
  function repeat({ question, initialDelayMs, periodMs, timeoutMs }: Probe, tell: (bad: number, good: number) => void) {
    let [bad, good] = [0, 0];
    let timer: NodeJS.Timeout;
    const ask = async (): Promise<void> => {
      if (!isResting()) {
        const status = await askStatus(
          target,
          question.path,
          AbortSignal.any([ended.signal, AbortSignal.timeout(timeoutMs)]),
        );
        if (ended.signal.aborted) return;
        // One that was frozen meanwhile could not answer.
        const isBad = !isResting() && isBadAnswer(status, question);
        [bad, good] = isBad ? [bad + 1, 0] : [0, good + 1];
        tell(bad, good);
      }
      if (!ended.signal.aborted) wait(periodMs);
    };
    const wait = (ms: number) => {
      timer = setTimeout(() => void ask(), ms).unref();
    };
    ended.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    wait(initialDelayMs + periodMs);
  }
}

/** No answer on a path that need not exist says nothing: it may be a call like others, which takes its time. */
function isBadAnswer(status: number | undefined, { isOptional }: Question): boolean {
  if (isOptional) return status !== undefined && isRefusal(status);
  return status === undefined || !isGood(status);
}
