import { rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { HealthResource } from '@ebb/contract';
import type { Config } from '../config/config-schema.ts';
import type { Logger } from '../core/logger.ts';
import type { AsyncDoor } from '../gateway/async-door.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { type CallsElsewhere, NOTHING_ELSEWHERE } from '../gateways/calls-elsewhere.ts';
import { openControlSocket } from '../gateways/control-proxy.ts';
import { GatewayFleet, type GatewayFleetOptions } from '../gateways/gateway-fleet.ts';
import { LeaseBroker } from '../gateways/lease-broker.ts';
import type { InstancePools } from '../pool/instance-pools.ts';
import { createFrontDoor, type ListenerOptions, openListener, openSharedPort, type PortSource } from './listener.ts';
import { openRelay, relayRequest } from './takeover/relay.ts';

/** How callers come in. */
export interface Front {
  readonly port: number;
  /** What the health says of it. */
  describe(): Pick<HealthResource, 'gateways'>;
  /** Calls from outside until now: those that came to this process, and those that others have served. */
  readonly outside: number;
  /** What other processes of this server do with its pools, as last reported. */
  elsewhere(): CallsElsewhere;
  /** Refuses new calls and resolves when those that run have ended, or when that takes too long. */
  drain(): Promise<void>;
  /** Sets anew how long {@link drain} waits; undefined for as long as the calls have. */
  setDrainTimeout(ms: number | undefined): void;
  /** Closes the port, and connections after `limitMs`. */
  close(limitMs?: number): Promise<void>;
  /** What listens, for the one who gives it to another process. */
  readonly server: Server;
  /** Serves those who were kept waiting, and all others from now on. */
  begin(): void;
  /** Has the process at a unix socket serve every request that begins from now on; undefined takes that back. */
  handOn(relay: string | undefined): void;
  /** Accepts no more; connections go on. */
  leave(): void;
  /** Resolves when no call runs, after {@link handOn}; or when `signal` aborts. */
  callsEnded(signal: AbortSignal): Promise<void>;
  /** Resolves when no connection is left and nobody passes on any more, or when `signal` aborts. */
  left(signal: AbortSignal): Promise<void>;
}

/** How a front begins whose port another server has. */
export interface Inheritance {
  /** Absent where another port is wanted. */
  readonly from?: PortSource;
  /** Unix socket where that server passes on what comes to it. */
  readonly relaySocket: string;
  /** Whether that server still runs, and so may pass on more. */
  readonly isThere: () => boolean;
}

/** What both kinds of front are made with. */
export interface FrontOptions {
  readonly config: Config;
  /** Of this process: it also takes what another process does not know how to. */
  readonly gateway: Gateway;
  /** Where calls to be made later are accepted. */
  readonly door: Pick<AsyncDoor, 'handlePlain'>;
  readonly handleRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** Takes the port from another server, and keeps who comes waiting until {@link Front.begin}. */
  readonly inherited?: Inheritance | undefined;
}

/** How often it is looked whether the last call and the last connection have ended. */
const LOOK_EVERY_MS = 10;

/** What the front of several processes is made with beside that. */
export interface GatewaysOptions
  extends
    FrontOptions,
    Pick<GatewayFleetOptions, 'feed' | 'rates' | 'authenticator' | 'findVersion' | 'metrics' | 'logs' | 'onCounted'> {
  readonly pools: InstancePools;
  readonly logger: Logger;
  /** Directory of the installation's sockets. */
  readonly runDir: string;
}

/** Opens the port of a server that is one process. Throws CONFIG_INVALID when it is taken. */
export async function openHere(options: FrontOptions): Promise<Front> {
  const { config, gateway, inherited } = options;
  const { listen, maxConnections } = config;
  let { drainTimeoutMs } = config;
  const relayed = inherited && (await openRelayed(inherited, options));
  const listener = await openListener({
    ...listen,
    ...doorOptions(options),
    maxConnections,
    from: inherited?.from,
    onHold: inherited !== undefined,
  });
  return {
    port: listener.port,
    server: listener.server,
    describe: () => ({}),
    elsewhere: () => NOTHING_ELSEWHERE,
    get outside() {
      return gateway.outside;
    },
    begin: () => {
      listener.begin();
      relayed?.begin();
    },
    handOn: (relay) => {
      if (relay === undefined) gateway.resume();
      else gateway.handOn((request, response) => relayRequest(relay, request, response));
      listener.handOn(relay);
      relayed?.handOn(relay);
    },
    leave: () => listener.leave(),
    callsEnded: (signal) => until(signal, async () => gateway.running === 0),
    left: (signal) => until(signal, async () => relayed?.isThere() !== true && (await listener.connections()) === 0),
    drain: () => gateway.drain(drainTimeoutMs),
    setDrainTimeout: (ms) => {
      drainTimeoutMs = ms;
    },
    close: async (limitMs = 0) => {
      await Promise.all([listener.close(limitMs), relayed?.close(limitMs)]);
    },
  };
}

function doorOptions({ config, gateway, door, handleRequest }: FrontOptions) {
  const { headersTimeoutMs, maxHeaderBytes } = config;
  return {
    headersTimeoutMs,
    maxHeaderBytes,
    onPlainRequest: ((caller, request) =>
      gateway.handlePlain(caller, request) || door.handlePlain(caller, request)) as ListenerOptions['onPlainRequest'],
    onRequest: handleRequest,
    onUpgrade: ((request, socket, head) =>
      void gateway.handleUpgrade(request, socket, head)) as ListenerOptions['onUpgrade'],
  };
}

/** Where the server that is replaced passes on the requests that come on its connections, which end with the answer. */
async function openRelayed({ relaySocket, isThere }: Inheritance, options: FrontOptions) {
  const door = createFrontDoor({ ...doorOptions(options), onHold: true, isOneShot: true });
  const relay = await openRelay(relaySocket, (socket) => door.take(socket));
  return {
    begin: () => door.begin(),
    // What comes here while another server takes over from this one goes on to that one.
    handOn: (path: string | undefined) => door.handOn(path),
    isThere,
    close: async (limitMs: number) => {
      await Promise.all([door.close(limitMs), relay[Symbol.asyncDispose]()]);
    },
  };
}

async function until(signal: AbortSignal, isTrue: () => Promise<boolean>): Promise<void> {
  while (!signal.aborted && !(await isTrue())) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Starts the gateway processes of a server and opens the port they share. Throws as {@link openHere} does. */
export async function openGateways(options: GatewaysOptions): Promise<Front> {
  const { config, gateway, feed, rates, pools, logger, authenticator, findVersion, metrics, logs, inherited } = options;
  await using parts = new AsyncDisposableStack();
  const { listen, maxConnections, headersTimeoutMs, maxHeaderBytes } = config;
  let { drainTimeoutMs } = config;
  // A server and its successor have one each.
  const controlSocket = join(options.runDir, `control-${process.pid}.sock`);
  rmSync(controlSocket, { force: true });
  parts.use(await openControlSocket(controlSocket, options.handleRequest));
  const broker = parts.use(
    new LeaseBroker({ pools, versionOf: (key) => pools.find(key)?.version ?? feed.versionOf(key) }),
  );
  const fleet = parts.use(
    new GatewayFleet({
      count: config.gateways,
      program: gatewayProgram(),
      setup: { maxHeaderBytes, headersTimeoutMs, logLevel: logger.level, domain: config.domain, controlSocket },
      maxConnections,
      broker,
      feed,
      rates,
      authenticator,
      findVersion,
      metrics,
      logs,
      onCounted: options.onCounted,
      logger,
    }),
  );
  // Those who come before the gateways are ready are kept for them.
  if (inherited) await fleet.start();
  const relayed = inherited && (await openRelayed(inherited, options));
  if (relayed) parts.defer(() => relayed.close(0));
  const port = await openSharedPort({
    ...listen,
    from: inherited?.from,
    onHold: inherited !== undefined,
    hand: (socket) => fleet.hand(socket),
  });
  parts.defer(() => port.close(0));
  if (!inherited) await fleet.start();
  const all = parts.move();
  let closing: Promise<void> | undefined;
  return {
    port: port.port,
    server: port.server,
    describe: () => ({ gateways: fleet.list() }),
    elsewhere: () => ({ calls: fleet.runningOf(), lent: broker.lentOf() }),
    get outside() {
      return gateway.outside + fleet.served;
    },
    begin: () => {
      port.begin();
      relayed?.begin();
    },
    handOn: (relay) => {
      if (relay === undefined) gateway.resume();
      else gateway.handOn((request, response) => relayRequest(relay, request, response));
      fleet.handOn(relay);
      relayed?.handOn(relay);
    },
    leave: () => port.leave(),
    callsEnded: (signal) => until(signal, async () => gateway.running + fleet.running === 0),
    left: (signal) => until(signal, async () => relayed?.isThere() !== true && fleet.connections === 0),
    drain: async () => {
      await Promise.all([fleet.drain(drainTimeoutMs), gateway.drain(drainTimeoutMs)]);
    },
    setDrainTimeout: (ms) => {
      drainTimeoutMs = ms;
    },
    close: () => (closing ??= all.disposeAsync()),
  };
}

/** The program of a gateway beside this file, as source or as emitted JavaScript. */
function gatewayProgram(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './gateway-process.ts' : './gateway-process.js', import.meta.url);
}
