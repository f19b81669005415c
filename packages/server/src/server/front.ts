import { rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { HealthResource } from '@ebb/contract';
import type { Config } from '../config/config-schema.ts';
import type { Logger } from '../core/logger.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { openControlSocket } from '../gateways/control-proxy.ts';
import { GatewayFleet, type GatewayFleetOptions } from '../gateways/gateway-fleet.ts';
import { LeaseBroker } from '../gateways/lease-broker.ts';
import type { InstancePools } from '../pool/instance-pools.ts';
import { openListener, openSharedPort } from './listener.ts';

/** How callers come in. */
export interface Front {
  readonly port: number;
  /** What the health says of it. */
  describe(): Pick<HealthResource, 'gateways'>;
  /** Refuses new calls and resolves when those that run have ended, or when that takes too long. */
  drain(): Promise<void>;
  /** Closes the port, and connections after `limitMs`. */
  close(limitMs?: number): Promise<void>;
}

/** What both kinds of front are made with. */
export interface FrontOptions {
  readonly config: Config;
  /** Of this process: it also takes what another process does not know how to. */
  readonly gateway: Gateway;
  readonly handleRequest: (request: IncomingMessage, response: ServerResponse) => void;
}

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
export async function openHere({ config, gateway, handleRequest }: FrontOptions): Promise<Front> {
  const { listen, maxConnections, headersTimeoutMs, maxHeaderBytes, drainTimeoutMs } = config;
  const listener = await openListener({
    ...listen,
    maxConnections,
    headersTimeoutMs,
    maxHeaderBytes,
    onPlainRequest: (caller, request) => gateway.handlePlain(caller, request),
    onRequest: handleRequest,
    onUpgrade: (request, socket, head) => void gateway.handleUpgrade(request, socket, head),
  });
  return {
    port: listener.port,
    describe: () => ({}),
    drain: () => gateway.drain(drainTimeoutMs),
    close: (limitMs = 0) => listener.close(limitMs),
  };
}

/** Starts the gateway processes of a server and opens the port they share. Throws as {@link openHere} does. */
export async function openGateways(options: GatewaysOptions): Promise<Front> {
  const { config, gateway, feed, rates, pools, logger, authenticator, findVersion, metrics, logs } = options;
  await using parts = new AsyncDisposableStack();
  const { listen, maxConnections, headersTimeoutMs, maxHeaderBytes, drainTimeoutMs } = config;
  const controlSocket = join(options.runDir, 'control.sock');
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
  const port = await openSharedPort({ ...listen, hand: (socket) => fleet.hand(socket) });
  parts.defer(() => port.close(0));
  await fleet.start();
  const all = parts.move();
  let closing: Promise<void> | undefined;
  return {
    port: port.port,
    describe: () => ({ gateways: fleet.list() }),
    drain: async () => {
      await Promise.all([fleet.drain(drainTimeoutMs), gateway.drain(drainTimeoutMs)]);
    },
    close: () => (closing ??= all.disposeAsync()),
  };
}

/** The program of a gateway beside this file, as source or as emitted JavaScript. */
function gatewayProgram(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './gateway-process.ts' : './gateway-process.js', import.meta.url);
}
