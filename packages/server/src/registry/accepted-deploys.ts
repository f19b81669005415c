import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type {
  AcceptedDeploy,
  AcceptedDeploys,
  DeployInput,
  FunctionRegistry,
  RegistryChange,
  Version,
} from '../core/ports.ts';
import type { KeyValue } from '../store/key-value.ts';
import { createAcceptedDeployStore } from './accepted-deploy-store.ts';
import { createTurns } from './turns.ts';

/** How long an image may take to be found before the deploy is accepted without it. */
const ADMIT_MS = 5_000;
/** The first pause between two attempts; each later one is twice as long, ... */
const RETRY_MS = 1_000;
/** ... but never longer than this. */
const RETRY_MOST_MS = 60_000;

/** What accepted deploys are made with. */
export interface AcceptedDeploysOptions {
  readonly registry: Pick<FunctionRegistry, 'put' | 'remove' | 'resolve' | 'setReplicas' | 'watch'>;
  readonly store: KeyValue;
  /** Whether a version has an instance that serves its calls now. */
  readonly isServing: (version: Version) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: 5 s. */
  readonly admitMs?: number;
  /** Default: 1 s. */
  readonly retryMs?: number;
}

/** Accepted deploys, and what carries them out. */
export interface DeployRunner extends AcceptedDeploys, AsyncDisposable {
  /** Goes on with what an earlier server accepted. Throws STORE_FAILED. */
  start(): Promise<void>;
  /** Leaves what was accepted to another server; resolves when nothing is under way. */
  hold(): Promise<void>;
  /** Ends {@link hold}. */
  goOn(): void;
}

/** How the attempts to carry a deploy out ended: it is of no more use, is left for later, or was never accepted. */
type End = 'done' | 'stopped' | 'refused';

/** The attempts to carry one deploy out. */
interface Run {
  readonly deploy: AcceptedDeploy;
  readonly stop: AbortController;
  /** Whether its caller was told, or is about to be, that it is accepted. */
  isAccepted: boolean;
  /** Settles when the first attempt knows that everything the deploy names is there; rejects with why it is not. */
  readonly admitted: Promise<void>;
  /** Never rejects. */
  ended: Promise<End>;
}

/** Makes the runner of accepted deploys; nothing is carried out again before `start`. */
export function createAcceptedDeploys(options: AcceptedDeploysOptions): DeployRunner {
  const { registry, isServing, clock, logger, admitMs = ADMIT_MS, retryMs = RETRY_MS } = options;
  const records = createAcceptedDeployStore(options.store);
  const pending = new Map<string, AcceptedDeploy>();
  const runs = new Map<string, Run>();
  const turns = createTurns();
  let isHeld = false;

  const attempt = async (
    { input, acceptedAt: askedAt }: AcceptedDeploy,
    signal: AbortSignal,
    onAdmitted?: () => void,
  ): Promise<void> => {
    const { namespace, name } = input;
    const live = registry.resolve(namespace, name)?.live;
    const probe = live !== undefined && isServing(live);
    // What goes live unproved takes no longer than to be stored; then it can be called as soon as it is accepted.
    const { record } = await registry.put(input, { probe, signal, askedAt, ...(probe && { onAdmitted }) });
    // A deploy that changes nothing ends what was asked for before it as any other does.
    if (record.replicas && record.replicas.askedAt < askedAt) await registry.setReplicas(namespace, name, undefined);
  };

  const repeat = async (deploy: AcceptedDeploy, signal: AbortSignal): Promise<End> => {
    for (let pauseMs = retryMs; ; pauseMs = Math.min(pauseMs * 2, RETRY_MOST_MS)) {
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return 'stopped';
      try {
        await attempt(deploy, signal);
        return 'done';
      } catch (error) {
        if (signal.aborted) return 'stopped';
        if (failed(deploy, error).code === 'NAMESPACE_NOT_FOUND') return 'done';
      }
    }
  };

  const failed = (deploy: AcceptedDeploy, thrown: unknown): EbbError => {
    const { namespace, name } = deploy.input;
    const error = asEbbError(thrown);
    const { message } = error;
    const key = keyOf(namespace, name);
    if (pending.get(key)?.failure !== message) {
      logger.warn(
        { namespace, name, err: thrown },
        'an accepted deploy could not be carried out yet and is tried again',
      );
    }
    if (pending.get(key)?.acceptedAt === deploy.acceptedAt) pending.set(key, { ...deploy, failure: message });
    return error;
  };

  /** Carries a deploy out; `isNew` says that the caller still waits for whether it is accepted. */
  const begin = (deploy: AcceptedDeploy, isNew: boolean): Run => {
    const key = keyOf(deploy.input.namespace, deploy.input.name);
    const stop = new AbortController();
    const admission = Promise.withResolvers<void>();
    // Only who accepts it waits for this.
    admission.promise.catch(() => {});
    const { promise: ended } = Promise.withResolvers<End>();
    const run: Run = { deploy, stop, isAccepted: !isNew, admitted: admission.promise, ended };
    const first = async (): Promise<End> => {
      try {
        await attempt(deploy, stop.signal, () => {
          run.isAccepted = true;
          admission.resolve();
        });
        admission.resolve();
        return 'done';
      } catch (error) {
        if (stop.signal.aborted || !run.isAccepted) {
          admission.reject(error);
          return stop.signal.aborted ? 'stopped' : 'refused';
        }
        failed(deploy, error);
        return repeat(deploy, stop.signal);
      }
    };
    run.ended = first();
    runs.set(key, run);
    return run;
  };

  /** Forgets a deploy once it serves. */
  const settle = async (key: string, run: Run): Promise<void> => {
    const how = await run.ended;
    if (runs.get(key) === run) runs.delete(key);
    if (how !== 'done' || pending.get(key)?.acceptedAt !== run.deploy.acceptedAt) return;
    const { namespace, name } = run.deploy.input;
    pending.delete(key);
    await records.forget(namespace, name).catch((error: unknown) => {
      // A later start carries it out again and finds it done.
      logger.warn({ namespace, name, err: error }, 'an accepted deploy that serves could not be forgotten');
    });
  };

  const stop = async (key: string): Promise<void> => {
    const run = runs.get(key);
    run?.stop.abort(new EbbError('CONFLICT', 'the deploy was replaced by a later one or its function removed'));
    await run?.ended;
    runs.delete(key);
  };

  const carryOn = (deploy: AcceptedDeploy): void => {
    const key = keyOf(deploy.input.namespace, deploy.input.name);
    if (!runs.has(key)) void settle(key, begin(deploy, false));
  };

  const accept = async (input: DeployInput, mode: 'create' | 'replace'): Promise<void> => {
    const { namespace, name } = input;
    const key = keyOf(namespace, name);
    const exists = pending.has(key) || registry.resolve(namespace, name) !== undefined;
    if (mode === 'create' && exists) {
      throw new EbbError('CONFLICT', `there is a function "${name}" in namespace "${namespace}" already; update it`);
    }
    if (mode === 'replace' && !exists) {
      throw new EbbError('FUNCTION_NOT_FOUND', `there is no function "${name}" in namespace "${namespace}"`);
    }
    await stop(key);
    const before = pending.get(key);
    // Two that come within a millisecond are told apart all the same.
    const acceptedAt = Math.max(clock.now(), (before?.acceptedAt ?? 0) + 1);
    const deploy: AcceptedDeploy = { input, acceptedAt };
    const run = begin(deploy, true);
    try {
      await Promise.race([run.admitted, sleep(admitMs, undefined, { ref: false })]);
      run.isAccepted = true;
      const end = await Promise.race([run.ended, Promise.resolve(undefined)]);
      if (end !== 'done') {
        pending.set(key, deploy);
        await records.save(deploy);
      } else if (before) {
        pending.delete(key);
        await records.forget(namespace, name);
      }
      void settle(key, run);
    } catch (error) {
      await stop(key);
      if (before) {
        pending.set(key, before);
        carryOn(before);
      } else {
        pending.delete(key);
      }
      throw error;
    }
  };

  /** Drops what was accepted; in the function's turn. */
  const withdraw = async (namespace: string, name: string): Promise<void> => {
    const key = keyOf(namespace, name);
    await stop(key);
    // On disk first: what is left there would be carried out by the next server.
    await records.forget(namespace, name);
    pending.delete(key);
  };

  // Whoever removed the function, or had another version serve, came later and is not to be undone.
  const watching = registry.watch((change) => {
    const { namespace, name } = change.kind === 'removed' ? change.previous : change.record;
    const key = keyOf(namespace, name);
    const deploy = pending.get(key);
    if (!deploy || (change.kind === 'changed' && !isSuperseding(change, deploy))) return;
    const isOver = async () => {
      if (pending.get(key)?.acceptedAt === deploy.acceptedAt) await withdraw(namespace, name);
    };
    turns.run(key, isOver).catch((error: unknown) => {
      logger.warn(
        { namespace, name, err: error },
        'an accepted deploy that a later change replaced could not be forgotten',
      );
    });
  });

  return {
    pending: (namespace, name) => pending.get(keyOf(namespace, name)),
    list: (namespace) =>
      [...pending.values()].filter(({ input }) => namespace === undefined || input.namespace === namespace),
    accept: (input, mode) => turns.run(keyOf(input.namespace, input.name), () => accept(input, mode)),
    remove: (namespace, name) =>
      turns.run(keyOf(namespace, name), async () => {
        const isPending = pending.has(keyOf(namespace, name));
        await withdraw(namespace, name);
        if (!isPending || registry.resolve(namespace, name)) await registry.remove(namespace, name);
      }),
    async start() {
      const unreadable = (key: string, error: unknown) =>
        logger.error({ err: error, key }, 'an accepted deploy cannot be read');
      for (const deploy of await records.list(unreadable)) {
        pending.set(keyOf(deploy.input.namespace, deploy.input.name), deploy);
        carryOn(deploy);
      }
    },
    async hold() {
      isHeld = true;
      await Promise.all([...runs.keys()].map(stop));
    },
    goOn() {
      if (!isHeld) return;
      isHeld = false;
      for (const deploy of pending.values()) carryOn(deploy);
    },
    async [Symbol.asyncDispose]() {
      watching[Symbol.dispose]();
      await Promise.all([...runs.keys()].map(stop));
    },
  };
}

/** Whether a change has another version serve than the deploy is about to. */
function isSuperseding(
  { record, previous }: Extract<RegistryChange, { readonly kind: 'changed' }>,
  { input }: AcceptedDeploy,
): boolean {
  const { key, spec } = record.live;
  return key !== previous?.live.key && JSON.stringify(spec) !== JSON.stringify(input.spec);
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
