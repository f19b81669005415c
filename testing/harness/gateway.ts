import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { join } from 'node:path';
import {
  DEFAULT_NAMESPACE,
  type FunctionSpecInput,
  functionSpecSchema,
  type KeepAlive,
  type LogLine,
} from '@ebb/contract';
import { systemClock } from '../../packages/server/src/core/clock.ts';
import { EbbError } from '../../packages/server/src/core/errors.ts';
import { createLogger } from '../../packages/server/src/core/logger.ts';
import type {
  Acceptor,
  Authenticator,
  CodeStore,
  FunctionRegistry,
  Invocations,
  LogBook,
} from '../../packages/server/src/core/ports.ts';
import {
  createMemoryEngine,
  type MemoryEngine,
  type MemoryFaults,
  type MemoryHost,
} from '../../packages/server/src/engines/memory/memory-engine.ts';
import type { MemoryServe } from '../../packages/server/src/engines/memory/memory-instance.ts';
import { createInvoker, type PlatformInvoker } from '../../packages/server/src/gateway/invoker.ts';
import { AsyncDoor, type DoorGate } from '../../packages/server/src/gateway/async-door.ts';
import { Gateway } from '../../packages/server/src/gateway/gateway.ts';
import { RouteTable } from '../../packages/server/src/gateway/route-table.ts';
import type { InstancePools } from '../../packages/server/src/pool/instance-pools.ts';
import type { WarmPool } from '../../packages/server/src/pool/warm-pool.ts';
import { createFunctionRegistry } from '../../packages/server/src/registry/function-registry.ts';
import { createNamespaceRegistry } from '../../packages/server/src/registry/namespace-registry.ts';
import { openListener } from '../../packages/server/src/server/listener.ts';
import { type HostBounds, wirePools } from '../../packages/server/src/server/wire/wire-pools.ts';
import type { KeyValue } from '../../packages/server/src/store/key-value.ts';
import { createMemoryKeyValue } from '../../packages/server/src/store/memory/memory-key-value.ts';
import type { InvocationEvent } from '../../packages/server/src/telemetry/invocation-event.ts';

/** Digest that every code function of the harness deploys; the memory engine never looks at the code. */
const CODE = `sha256:${'0'.repeat(64)}`;

const OPEN_GATE: DoorGate = {
  enter: () => () => {},
  pass: () => Promise.resolve({ kind: 'here', leave: () => {} }),
  isTurnedOver: false,
  handle: () => {},
};

const NO_CALLS: Pick<Invocations, 'functionOf' | 'cancel'> = {
  functionOf: (id) => Promise.reject(new EbbError('INVOCATION_NOT_FOUND', `there is no call ${id}`)),
  cancel: (id) => Promise.reject(new EbbError('INVOCATION_NOT_FOUND', `there is no call ${id}`)),
};

/** What a test of the data plane is made with. */
export interface GatewayHarnessOptions {
  readonly serve: MemoryServe;
  readonly faults?: MemoryFaults;
  /** Shared by two harnesses to stand for a server before and after its restart. */
  readonly host?: MemoryHost;
  readonly store?: KeyValue;
  readonly maxInstances?: number;
  readonly maxConcurrentStarts?: number;
  readonly memoryBudgetBytes?: number;
  readonly keepAlive?: KeepAlive;
  /** Default: 0. */
  readonly poolSize?: number;
  readonly startTimeoutMs?: number;
  readonly maxFrozenBytes?: number;
  /** Hosts below it name functions. */
  readonly domain?: string;
  /** Accepts calls under `/async-function/`; without it that path is elsewhere. */
  readonly acceptor?: Pick<Acceptor, 'enqueue' | 'receive'>;
  /** Default: there is no call. */
  readonly calls?: Pick<Invocations, 'functionOf' | 'cancel'>;
  /** Stands before the queue. Default: an open one. */
  readonly gate?: DoorGate;
  /** Instances of a server that this one replaces. */
  readonly heldElsewhere?: () => Promise<ReadonlySet<string> | undefined>;
}

/** The real data plane over in-process instances. */
export interface GatewayHarness extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly engine: MemoryEngine;
  readonly pools: InstancePools;
  readonly registry: FunctionRegistry;
  readonly spares: WarmPool;
  /** Sets the bounds of the host anew. */
  readonly rebound: (bounds: HostBounds) => void;
  readonly gateway: Gateway;
  readonly invoker: PlatformInvoker;
  readonly events: InvocationEvent[];
  readonly lines: LogLine[];
  readonly store: KeyValue;
  /** Deploys a function; the spec needs nothing but what the test is about. */
  deploy(name: string, spec?: Partial<FunctionSpecInput>, options?: { readonly probe?: boolean }): Promise<void>;
  remove(name: string): Promise<void>;
  /** Lets go of everything in memory but not of the instances, as a killed server would. */
  kill(): Promise<void>;
}

/** The only credentials the harness knows. */
export const HARNESS_AUTHORIZATION = 'Bearer harness-secret';

/** Joins registry, pools, autoscaler and gateway as the composition root does, over the memory engine. */
export async function createGatewayHarness(options: GatewayHarnessOptions): Promise<GatewayHarness> {
  const runDir = await mkdtemp('/tmp/ebb-t-');
  const store = options.store ?? createMemoryKeyValue();
  const clock = systemClock;
  const logger = createLogger('silent');
  const events: InvocationEvent[] = [];
  const lines: LogLine[] = [];
  const engine = createMemoryEngine({
    runDir,
    serve: options.serve,
    ...(options.faults === undefined ? {} : { faults: options.faults }),
    ...(options.host === undefined ? {} : { host: options.host }),
  });
  const namespaces = await createNamespaceRegistry({ store, clock });
  const code = { has: () => true, directory: () => join(runDir, 'code') } as unknown as CodeStore;
  const logs = { append: (line: LogLine) => lines.push(line) } as unknown as LogBook;
  const secrets = {
    list: () => Promise.resolve([]),
    has: () => Promise.resolve(false),
    set: () => Promise.reject(new Error('unused')),
    remove: () => Promise.reject(new Error('unused')),
    reveal: () => Promise.reject(new Error('unused')),
  };
  const { pools, loop, spares, rebound } = wirePools({
    engine,
    installation: 'test',
    generation: crypto.randomUUID(),
    code,
    secrets,
    namespaces,
    logs,
    clock,
    logger,
    startTimeoutMs: options.startTimeoutMs ?? 5_000,
    maxInstances: options.maxInstances ?? 100,
    maxConcurrentStarts: options.maxConcurrentStarts ?? 4,
    memoryBudgetBytes: options.memoryBudgetBytes,
    ...(options.keepAlive === undefined ? {} : { keepAlive: options.keepAlive }),
    poolSize: options.poolSize ?? 0,
    scaleEveryMs: 20,
    cpuEveryMs: 50,
    maxFrozenBytes: options.maxFrozenBytes ?? 2 ** 40,
    heldElsewhere: options.heldElsewhere,
  });
  const registry = await createFunctionRegistry({ store, namespaces, secrets, code, gate: pools, clock, logger });
  const routes = new RouteTable(registry, {
    findVersion: async (...named) => pools.called(await registry.version(...named)),
  });
  const authenticator: Authenticator = {
    authenticate: (authorization) =>
      authorization === HARNESS_AUTHORIZATION
        ? Promise.resolve({ kind: 'admin' })
        : Promise.reject(new EbbError('UNAUTHENTICATED', 'wrong credentials')),
  };
  const gateway = new Gateway({
    pools,
    routes,
    authenticator,
    logger,
    domain: options.domain,
    record: (event) => events.push(event),
  });
  const { acceptor, calls = NO_CALLS, gate = OPEN_GATE } = options;
  const door = acceptor && new AsyncDoor({ routes, authenticator, acceptor, calls, gateway, gate });
  await pools.start(registry);
  loop.start();
  const listener = await openListener({
    host: '127.0.0.1',
    port: 0,
    maxConnections: 10_000,
    headersTimeoutMs: 5_000,
    maxHeaderBytes: 16_384,
    onPlainRequest: (caller, request) =>
      gateway.handlePlain(caller, request) || door?.handlePlain(caller, request) === true,
    onRequest: (request, response) => {
      if (gateway.handle(request, response) || door?.handle(request, response) === true) return;
      response.writeHead(404);
      response.end('elsewhere');
    },
    onUpgrade: (request, socket, head) => void gateway.handleUpgrade(request, socket, head),
  });

  const kill = async () => {
    loop[Symbol.dispose]();
    await listener.close(0);
  };
  return {
    url: `http://127.0.0.1:${listener.port}`,
    port: listener.port,
    engine,
    pools,
    registry,
    spares,
    rebound,
    gateway,
    invoker: createInvoker({ context: gateway, routes, refusal: () => gateway.refusal }),
    events,
    lines,
    store,
    deploy: async (name, spec = {}, { probe = false } = {}) => {
      const parsed = functionSpecSchema.parse({ ...(spec.image === undefined ? { runtime: 'node' } : {}), ...spec });
      await registry.put(
        { namespace: DEFAULT_NAMESPACE, name, spec: parsed, ...(parsed.image === undefined ? { code: CODE } : {}) },
        { probe },
      );
    },
    remove: (name) => registry.remove(DEFAULT_NAMESPACE, name),
    kill,
    [Symbol.asyncDispose]: async () => {
      await kill();
      await pools.close();
      await engine[Symbol.asyncDispose]();
      await rm(runDir, { recursive: true, force: true });
    },
  };
}

/** Waits until `condition` holds, at most `limitMs`. */
export async function eventually(condition: () => boolean | Promise<boolean>, limitMs = 5_000): Promise<void> {
  const until = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > until)
      throw new Error(`it did not come true within ${limitMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A plain HTTP server on a free port of the loopback address. */
export async function listenOnLoopback(server: Server = createServer()): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
