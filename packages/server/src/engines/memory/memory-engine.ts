import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { EbbError } from '../../core/errors.ts';
import { type Broadcast, createBroadcast } from '../broadcast.ts';
import type { Engine, EngineEvent, Instance, InstanceExit, InstanceSpec, SpareSpec } from '../engine.ts';
import { createInstanceDir, removeInstanceDir } from '../instance-dir.ts';
import { createMemoryInstance, type MemoryInstance, type MemoryServe } from './memory-instance.ts';

/** Faults a test injects; read on every call, so a test may change them while the engine runs. */
export interface MemoryFaults {
  /** How long a create takes. */
  createDelayMs?: number;
  /** How long an instance takes from created to ready. */
  readyDelayMs?: number;
  /** How many of the next creates fail with ENGINE_FAILED and leave nothing. */
  failingCreates?: number;
  /** How many of the next specialises fail with ENGINE_FAILED. */
  failingSpecialises?: number;
  /** How many of the next creates answer ENGINE_FAILED although the instance exists. */
  lyingCreates?: number;
  /** How many of the next instances end with code 1 before they are ready. */
  crashingStarts?: number;
  /** Whether every call hangs until its deadline and throws ENGINE_TIMEOUT. */
  isHanging?: boolean;
  /** Images that are not found. */
  missingImages?: ReadonlySet<string>;
}

/** The host that memory engines run on: two engines on one host are a server before and after its restart. */
export interface MemoryHost {
  readonly instances: Map<string, MemoryInstance>;
  readonly events: Broadcast<EngineEvent & { readonly installation?: string }>;
}

/** Makes an empty host. */
export function createMemoryHost(): MemoryHost {
  return { instances: new Map(), events: createBroadcast({ capacity: 1000, overflow: { kind: 'resync' } }) };
}

/** What a memory engine is made from. */
export interface MemoryEngineOptions {
  /** Absolute directory for sockets; short, as for every engine. */
  readonly runDir: string;
  /** What instances answer with. */
  readonly serve: MemoryServe;
  readonly faults?: MemoryFaults;
  /** Default: `test`. */
  readonly installation?: string;
  /** Default: a new one. */
  readonly host?: MemoryHost;
  /** Deadline of every call. Default: 1000. */
  readonly callTimeoutMs?: number;
}

/** The engine of the tests: instances are HTTP servers in this process, on real unix sockets. */
export interface MemoryEngine extends Engine {
  /** Ends an instance as a crash would. */
  crash(id: string, exit?: InstanceExit): void;
  /** How many creates, those of spares included, were asked for since the engine was made. */
  createCount(): number;
}

const CRASH: InstanceExit = { code: 1, outOfMemory: false };

/** Makes an engine without processes or containers, with faults on demand; the oracle of the conformance suite. */
export function createMemoryEngine(options: MemoryEngineOptions): MemoryEngine {
  const { runDir, serve, faults = {}, installation = 'test', host = createMemoryHost() } = options;
  const callTimeoutMs = options.callTimeoutMs ?? 1000;
  const creating = new Map<string, Promise<Instance>>();
  let creates = 0;

  const own = (id: string): MemoryInstance | undefined => {
    const instance = host.instances.get(key(installation, id));
    return instance?.describe().labels.installation === installation ? instance : undefined;
  };
  const living = (id: string): MemoryInstance => {
    const instance = own(id);
    if (instance && instance.describe().state !== 'exited') return instance;
    throw new EbbError('ENGINE_FAILED', `there is no running instance "${id}"`);
  };
  const call = async (what: string, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    if (!faults.isHanging) return;
    await delay(callTimeoutMs, undefined, signal ? { signal } : {});
    throw new EbbError('ENGINE_TIMEOUT', `the memory engine did not ${what} within ${callTimeoutMs} ms`);
  };

  async function make(spec: InstanceSpec | SpareSpec, signal?: AbortSignal): Promise<Instance> {
    await call('create an instance', signal);
    if (faults.createDelayMs) await delay(faults.createDelayMs, undefined, signal ? { signal } : {});
    if (take(faults, 'failingCreates')) throw new EbbError('ENGINE_FAILED', 'a create was made to fail');
    const dir = await createInstanceDir({ runDir, id: spec.id, secrets: 'secrets' in spec ? spec.secrets : {} });
    if (signal?.aborted) {
      await removeInstanceDir(runDir, spec.id);
      throw signal.reason;
    }
    const instance = createMemoryInstance(spec, dir, serve, (exit) => {
      host.events.send({ kind: 'exited', id: spec.id, exit, installation });
    });
    host.instances.set(key(installation, spec.id), instance);
    if (!('source' in spec)) void instance.start(0).catch(() => instance.exit(CRASH));
    else if (take(faults, 'crashingStarts')) setTimeout(() => instance.exit(CRASH), faults.readyDelayMs ?? 0);
    else void instance.start(faults.readyDelayMs ?? 0).catch(() => instance.exit(CRASH));
    if (take(faults, 'lyingCreates')) throw new EbbError('ENGINE_FAILED', 'a create was made to lie');
    return instance.describe();
  }

  async function makeOnce(spec: InstanceSpec | SpareSpec, signal?: AbortSignal): Promise<Instance> {
    creates += 1;
    const existing = own(spec.id)?.describe();
    if (existing && existing.state !== 'exited') return existing;
    const running = creating.get(spec.id) ?? make(spec, signal).finally(() => creating.delete(spec.id));
    creating.set(spec.id, running);
    return running;
  }

  const engine: MemoryEngine = {
    name: 'memory',
    capabilities: { images: true, runtimes: ['node'], isolation: 'none', freeze: true, limits: false, spares: true },
    async probe() {
      return { ok: !faults.isHanging, message: faults.isHanging ? 'hangs' : 'in memory', findings: [] };
    },
    prepare: (signal) => call('prepare', signal),
    async resolveImage(image, signal) {
      await call('resolve an image', signal);
      if (faults.missingImages?.has(image)) {
        throw new EbbError('IMAGE_NOT_FOUND', `the image "${image}" is neither on the host nor in its registry`);
      }
      return `sha256:${createHash('sha256').update(image).digest('hex')}`;
    },
    create: makeOnce,
    createSpare: makeOnce,
    async specialise(spec, signal) {
      await call('specialise an instance', signal);
      const instance = own(spec.id);
      const before = instance?.describe();
      if (!instance || !before?.spare || before.state !== 'running') {
        throw new EbbError('ENGINE_FAILED', `there is no running spare "${spec.id}"`);
      }
      if (take(faults, 'failingSpecialises')) throw new EbbError('ENGINE_FAILED', 'a specialise was made to fail');
      instance.specialise(spec, faults.readyDelayMs ?? 0);
      if (take(faults, 'crashingStarts')) setTimeout(() => instance.exit(CRASH), 0);
      return instance.describe();
    },
    async list() {
      await call('list instances');
      return [...host.instances.values()]
        .map((instance) => instance.describe())
        .filter((instance) => instance.labels.installation === installation);
    },
    async stop(id, { graceMs }) {
      await call('stop an instance');
      const instance = own(id);
      if (!instance) return;
      instance.setFrozen(false);
      await instance.drain(graceMs);
      await removeInstanceDir(runDir, id);
      host.instances.delete(key(installation, id));
    },
    async freeze(id) {
      await call('freeze an instance');
      living(id).setFrozen(true);
    },
    release() {},
    async thaw(id) {
      await call('thaw an instance');
      living(id).setFrozen(false);
    },
    async *logs(id, logOptions) {
      await call('read a log', logOptions.signal);
      yield* own(id)?.logs(logOptions) ?? [];
    },
    async stats(id) {
      await call('measure an instance');
      return { memoryBytes: 2 ** 20, cpuMs: living(id).requestsServed(), pids: 1 };
    },
    events: (signal) => ownEvents(host.events.subscribe(signal), installation),
    crash: (id, exit = { code: 1, outOfMemory: false }) => own(id)?.exit(exit),
    createCount: () => creates,
    // Instances outlive the engine object as they outlive a server; tests stop what they made.
    async [Symbol.asyncDispose]() {},
  };
  return engine;
}

function key(installation: string, id: string): string {
  return `${installation}/${id}`;
}

type CountedFault = 'failingCreates' | 'failingSpecialises' | 'lyingCreates' | 'crashingStarts';

function take(faults: MemoryFaults, fault: CountedFault): boolean {
  const left = faults[fault] ?? 0;
  if (left > 0) faults[fault] = left - 1;
  return left > 0;
}

async function* ownEvents(
  events: AsyncIterable<EngineEvent & { readonly installation?: string }>,
  installation: string,
): AsyncGenerator<EngineEvent> {
  for await (const { installation: origin, ...event } of events) {
    if (origin === undefined || origin === installation) yield event;
  }
}
