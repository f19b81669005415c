import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { VersionKey } from '@ebb/contract';
import { asEbbError, EbbError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Authenticator, LogBook } from '../core/ports.ts';
import type { FindVersion } from '../gateway/called-versions.ts';
import type { RateGates } from '../gateway/rate-gates.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { CountedVersion } from '../telemetry/version-tally.ts';
import type { LeaseBroker, LeaseHolder } from './lease-broker.ts';
import { type FromGateway, type GatewaySetup, routedVersion, sendable, type ToGateway } from './messages.ts';
import type { RouteFeed, RouteFollower } from './route-feed.ts';

/** How a gateway collects its garbage, where the first process was not told: nearly all a call makes is that when it ends. */
const GARBAGE_FLAGS = ['--max-semi-space-size=8', '--no-parallel-scavenge'];
/** A gateway that lived this long is replaced at once; others ever later. */
const SOUND_MS = 10_000;
const LONGEST_BACKOFF_MS = 5_000;
const START_MS = 30_000;
/** Connections kept for the time when no gateway is there to take them. */
const MAX_HELD = 1_000;
/** Time a gateway gets to end by itself. */
const CLOSE_MS = 3_000;

/** What a {@link GatewayFleet} is made with. */
export interface GatewayFleetOptions {
  readonly count: number;
  /** The program of a gateway. */
  readonly program: URL;
  readonly setup: Omit<GatewaySetup, 'records' | 'limited'>;
  readonly maxConnections: number;
  readonly broker: LeaseBroker;
  readonly feed: RouteFeed;
  /** The rates of namespaces, which hold over all gateways. */
  readonly rates: Pick<RateGates, 'limited' | 'draw' | 'putBack'>;
  readonly authenticator: Authenticator;
  /** Finds a version that no alias refers to. */
  readonly findVersion: FindVersion;
  readonly metrics: Pick<Metrics, 'merge' | 'mergeCopies'>;
  readonly logs: Pick<LogBook, 'append'>;
  /** Told of the calls of versions under rollout. */
  readonly onCounted: (versions: readonly CountedVersion[]) => void;
  readonly logger: Logger;
}

/** One gateway as the health shows it. */
export interface GatewayState {
  readonly pid: number;
  readonly state: 'starting' | 'ready' | 'draining';
  readonly connections: number;
  /** Calls that run or wait, as last reported. */
  readonly running: number;
}

interface Gateway {
  readonly process: ChildProcess;
  readonly startedMs: number;
  state: 'starting' | 'ready' | 'draining';
  connections: number;
  running: number;
  runningOf: readonly (readonly [key: VersionKey, count: number])[];
  readonly holder: LeaseHolder;
  readonly follower: RouteFollower;
  readonly ready: Promise<void>;
  readonly drained: Promise<void>;
  readonly exited: Promise<void>;
  onReady(): void;
  onDrained(): void;
}

/**
 * The gateway processes. The first process takes connections and hands each to the gateway with the fewest, which has
 * it from then on; what dies is replaced, and its slots return.
 */
export class GatewayFleet implements AsyncDisposable {
  readonly #options: GatewayFleetOptions;
  readonly #gateways = new Set<Gateway>();
  readonly #held: Socket[] = [];
  readonly #respawns = new Set<NodeJS.Timeout>();
  #crashesInRow = 0;
  #isClosing = false;
  #relay: string | undefined;
  #served = 0;
  #closed: Promise<void> | undefined;

  constructor(options: GatewayFleetOptions) {
    this.#options = options;
  }

  /** Starts every gateway; resolves when all are ready, rejects with INTERNAL when one is not. */
  async start(): Promise<void> {
    const started = Array.from({ length: this.#options.count }, () => this.#spawn());
    await Promise.all(
      started.map(async (gateway) => {
        const late = new Promise<void>((resolve) => setTimeout(resolve, START_MS).unref());
        await Promise.race([gateway.ready, gateway.exited, late]);
        if (gateway.state !== 'ready') throw new EbbError('INTERNAL', 'a gateway process did not start');
      }),
    );
  }

  /** Gives a new connection, unread, to a gateway. */
  hand(socket: Socket): void {
    const gateway = this.#leastConnected();
    if (gateway) this.#give(gateway, socket);
    else if (this.#held.length < MAX_HELD && !this.#isClosing) this.#held.push(socket);
    else socket.destroy();
  }

  /** The gateways there are. */
  list(): GatewayState[] {
    return Array.from(this.#gateways, ({ process: { pid = 0 }, state, connections, running }) => ({
      pid,
      state,
      connections,
      running,
    }));
  }

  /** Has every gateway pass new calls on to the process at a unix socket; undefined takes that back. */
  handOn(relay: string | undefined): void {
    this.#relay = relay;
    for (const { process: child } of this.#gateways) send(child, { kind: 'hand-on', relay });
  }

  /** Calls that run or wait in all gateways, as last reported. */
  get running(): number {
    let all = 0;
    for (const { running } of this.#gateways) all += running;
    return all;
  }

  /** The same of each version that has some. */
  runningOf(): Map<VersionKey, number> {
    const all = new Map<VersionKey, number>();
    for (const { runningOf } of this.#gateways) {
      for (const [key, count] of runningOf) all.set(key, (all.get(key) ?? 0) + count);
    }
    return all;
  }

  /** Calls from outside that gateways have served until now, as last reported. */
  get served(): number {
    return this.#served;
  }

  /** Connections of all gateways, as last reported, and those none has yet. */
  get connections(): number {
    let all = this.#held.length;
    for (const { connections } of this.#gateways) all += connections;
    return all;
  }

  /** Has every gateway refuse new calls; resolves when those that run have ended, or after `limitMs`, if given. */
  async drain(limitMs?: number): Promise<void> {
    this.#isClosing = true;
    for (const timer of this.#respawns) clearTimeout(timer);
    await Promise.all(
      Array.from(this.#gateways, (gateway) => {
        gateway.state = 'draining';
        send(gateway.process, { kind: 'drain', limitMs });
        return Promise.race([gateway.drained, gateway.exited]);
      }),
    );
  }

  /** Ends every gateway. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    for (const timer of this.#respawns) clearTimeout(timer);
    for (const socket of this.#held.splice(0)) socket.destroy();
    await Promise.all(
      Array.from(this.#gateways, async (gateway) => {
        send(gateway.process, { kind: 'close' });
        const timer = setTimeout(() => gateway.process.kill('SIGKILL'), CLOSE_MS);
        await gateway.exited;
        clearTimeout(timer);
      }),
    );
  }

  #spawn(): Gateway {
    const { program, setup, broker, feed, rates } = this.#options;
    const execArgv = process.execArgv.some((one) => one.includes('semi-space'))
      ? process.execArgv
      : [...process.execArgv, ...GARBAGE_FLAGS];
    const child = fork(program, [], { execArgv, stdio: ['ignore', 2, 2, 'ipc'] });
    const { records, follower } = feed.join((message) => send(child, message));
    const ready = Promise.withResolvers<void>();
    const drained = Promise.withResolvers<void>();
    const exited = Promise.withResolvers<void>();
    const gateway: Gateway = {
      process: child,
      startedMs: performance.now(),
      state: 'starting',
      connections: 0,
      running: 0,
      runningOf: [],
      holder: broker.join((message) => send(child, message)),
      follower,
      ready: ready.promise,
      drained: drained.promise,
      exited: exited.promise,
      onReady: ready.resolve,
      onDrained: drained.resolve,
    };
    this.#gateways.add(gateway);
    child.on('message', (message) => this.#receive(gateway, message as FromGateway));
    // Its connections to instances are closed when it has ended; only then its slots are anybody else's.
    child.once('exit', (code, signal) => {
      this.#ended(gateway, signal ?? code);
      exited.resolve();
    });
    child.once('error', () => {
      if (child.pid !== undefined) return;
      this.#ended(gateway, 'it could not be started');
      exited.resolve();
    });
    send(child, { kind: 'setup', setup: { ...setup, records, limited: rates.limited() } });
    return gateway;
  }

  #ended(gateway: Gateway, why: string | number | null): void {
    gateway.holder.leave();
    gateway.follower.leave();
    if (!this.#gateways.delete(gateway) || this.#isClosing) return;
    const isSound = performance.now() - gateway.startedMs >= SOUND_MS;
    this.#crashesInRow = isSound ? 0 : this.#crashesInRow + 1;
    const backoffMs = this.#crashesInRow <= 1 ? 0 : Math.min(50 * 2 ** this.#crashesInRow, LONGEST_BACKOFF_MS);
    this.#options.logger.error({ pid: gateway.process.pid, why, backoffMs }, 'a gateway ended and is replaced');
    const timer = setTimeout(() => {
      this.#respawns.delete(timer);
      this.#spawn();
    }, backoffMs);
    this.#respawns.add(timer);
  }

  #leastConnected(): Gateway | undefined {
    let best: Gateway | undefined;
    for (const gateway of this.#gateways) {
      if (gateway.state === 'starting' || !gateway.process.connected) continue;
      if (!best || gateway.connections < best.connections) best = gateway;
    }
    return best;
  }

  #give(gateway: Gateway, socket: Socket): void {
    let open = 0;
    for (const { connections } of this.#gateways) open += connections;
    if (open >= this.#options.maxConnections) {
      socket.destroy();
      return;
    }
    gateway.connections += 1;
    // The last of equals comes first the next time.
    this.#gateways.delete(gateway);
    this.#gateways.add(gateway);
    gateway.process.send({ kind: 'connection' } satisfies ToGateway, socket, {}, (error) => {
      if (error) socket.destroy();
    });
  }

  #receive(gateway: Gateway, message: FromGateway): void {
    switch (message.kind) {
      case 'ready':
        gateway.state = 'ready';
        if (this.#relay !== undefined) send(gateway.process, { kind: 'hand-on', relay: this.#relay });
        gateway.onReady();
        for (const socket of this.#held.splice(0)) this.hand(socket);
        return;
      case 'routed':
        gateway.follower.knows(message.seq);
        return;
      case 'authenticate':
        void this.#authenticate(gateway, message);
        return;
      case 'find':
        void this.#find(gateway, message);
        return;
      case 'report':
        gateway.connections -= message.closed;
        gateway.running = message.running;
        gateway.runningOf = message.runningOf;
        for (const [key, count] of message.reused) this.#options.broker.arrived(key, count);
        for (const counted of message.calls) {
          this.#options.metrics.merge(counted);
          for (const { count } of counted.codes) this.#served += count;
        }
        this.#options.metrics.mergeCopies(message.copies);
        if (message.versions.length > 0) this.#options.onCounted(message.versions);
        for (const line of message.lines) this.#options.logs.append(line);
        return;
      case 'drained':
        gateway.onDrained();
        return;
      case 'draw': {
        const { namespace, count } = message;
        send(gateway.process, { kind: 'drawn', namespace, ...this.#options.rates.draw(namespace, count) });
        return;
      }
      case 'put-back':
        this.#options.rates.putBack(message.namespace, message.count);
        return;
      default:
        gateway.holder.receive(message);
    }
  }

  async #find(
    { process: child }: Gateway,
    { id, namespace, name, version }: Extract<FromGateway, { readonly kind: 'find' }>,
  ): Promise<void> {
    try {
      const found = await this.#options.findVersion(namespace, name, version);
      this.#options.feed.keep(found);
      send(child, { kind: 'found', id, version: routedVersion(found) });
    } catch (error) {
      send(child, { kind: 'found', id, error: sendable(asEbbError(error)) });
    }
  }

  async #authenticate(
    { process: child }: Gateway,
    { id, authorization, remoteAddress }: Extract<FromGateway, { readonly kind: 'authenticate' }>,
  ): Promise<void> {
    try {
      await this.#options.authenticator.authenticate(authorization, remoteAddress);
      send(child, { kind: 'authenticated', id });
    } catch (error) {
      send(child, { kind: 'authenticated', id, error: sendable(asEbbError(error)) });
    }
  }
}

/** A gateway that has just ended gets nothing any more; its exit says the rest. */
function send(child: ChildProcess, message: ToGateway): void {
  if (child.connected) child.send(message, () => {});
}
