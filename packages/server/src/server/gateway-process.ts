import type { Socket } from 'node:net';
import { createLogger } from '../core/logger.ts';
import type { FunctionRegistry, RegistryChange } from '../core/ports.ts';
import { Gateway } from '../gateway/gateway.ts';
import { RouteTable } from '../gateway/route-table.ts';
import { createControlProxy } from '../gateways/control-proxy.ts';
import { LeasedRates } from '../gateways/leased-rates.ts';
import { LeasedSlots } from '../gateways/leased-slots.ts';
import type { FromGateway, GatewaySetup, ToGateway } from '../gateways/messages.ts';
import { createRemoteAuthenticator } from '../gateways/remote-authenticator.ts';
import { createRemoteVersions } from '../gateways/remote-versions.ts';
import { createCallTally } from '../telemetry/call-tally.ts';
import { createTelemetry } from '../telemetry/telemetry.ts';
import { createVersionTally } from '../telemetry/version-tally.ts';
import type { LogLine } from '@ebb/contract';
import { createFrontDoor } from './listener.ts';
import { relayRequest } from './takeover/relay.ts';

/** How often what happened is told to the first process. */
const REPORT_EVERY_MS = 75;
/** How long connections get to read their last answer. */
const CLOSE_MS = 1_000;

// The program of a gateway process: connections come from the first process, and so does everything it knows.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// Without the first process there are no slots; whoever serves the port next must not find this one still at it.
process.once('disconnect', () => process.exit(1));
process.once('message', (message) => {
  const first = message as ToGateway;
  if (first.kind === 'setup') runGateway(first.setup);
});

function send(message: FromGateway): void {
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}

function runGateway(setup: GatewaySetup): void {
  const logger = createLogger(setup.logLevel);
  const slots = new LeasedSlots({ send });
  const rates = new LeasedRates({ limited: setup.limited, send });
  const authenticator = createRemoteAuthenticator(send);
  const listeners = new Set<(change: RegistryChange) => void>();
  const control = createControlProxy(setup.controlSocket);
  const remoteVersions = createRemoteVersions(send);
  const functions: Pick<FunctionRegistry, 'list' | 'watch'> = {
    list: () => setup.records,
    watch: (listener: (change: RegistryChange) => void) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
  const routes = new RouteTable(functions, { findVersion: remoteVersions.find, rates });
  const tally = createCallTally();
  const versions = createVersionTally(functions);
  let lines: LogLine[] = [];
  let closed = 0;
  let lastRunning = 0;
  const telemetry = createTelemetry({
    metrics: tally,
    versions,
    logs: { append: (line) => void lines.push(line) },
    logger,
  });
  const gateway = new Gateway({
    pools: slots,
    routes,
    authenticator,
    domain: setup.domain,
    logger,
    record: (event) => telemetry.record(event),
  });
  const door = createFrontDoor({
    headersTimeoutMs: setup.headersTimeoutMs,
    maxHeaderBytes: setup.maxHeaderBytes,
    onPlainRequest: (caller, request) => gateway.handlePlain(caller, request),
    onRequest: (request, response) => {
      if (!gateway.handle(request, response)) control.pass(request, response);
    },
    onUpgrade: (request, socket, head) => void gateway.handleUpgrade(request, socket, head),
  });

  const report = () => {
    const { calls, copies } = tally.take();
    const { running } = gateway;
    const isQuiet = calls.length === 0 && copies.length === 0;
    if (isQuiet && lines.length === 0 && closed === 0 && running === lastRunning) return;
    const reused = slots.takeReused();
    const runningOf = slots.calls();
    send({ kind: 'report', calls, copies, versions: versions.take(), reused, lines, closed, running, runningOf });
    lines = [];
    closed = 0;
    lastRunning = running;
  };
  const timer = setInterval(report, REPORT_EVERY_MS);

  const take = (socket: Socket) => {
    socket.once('close', () => (closed += 1));
    // As the server that took it would have: who ends its side after a request still gets the answer.
    socket.allowHalfOpen = true;
    door.accept(socket);
  };
  const handOn = (relay: string | undefined) => {
    if (relay === undefined) gateway.resume();
    else gateway.handOn((request, response) => relayRequest(relay, request, response));
    door.handOn(relay);
  };
  const close = async () => {
    await door.close(CLOSE_MS);
    clearInterval(timer);
    await telemetry[Symbol.asyncDispose]();
    report();
    slots[Symbol.dispose]();
    rates[Symbol.dispose]();
    control[Symbol.dispose]();
    // The last report has left when the channel is closed.
    process.removeAllListeners('disconnect');
    process.disconnect?.();
    setTimeout(() => process.exit(0), CLOSE_MS).unref();
  };
  process.on('message', (message: ToGateway, handle: unknown) => {
    switch (message.kind) {
      case 'connection':
        // A caller that has left by now comes without its connection.
        if (handle) take(handle as Socket);
        else closed += 1;
        return;
      case 'route':
        for (const listener of listeners) listener(message.change);
        send({ kind: 'routed', seq: message.seq });
        return;
      case 'rate':
        rates.receive(message);
        send({ kind: 'routed', seq: message.seq });
        return;
      case 'drawn':
        rates.receive(message);
        return;
      case 'authenticated':
        authenticator.answered(message.id, message.error);
        return;
      case 'found':
        remoteVersions.answered(message.id, message.version, message.error);
        return;
      case 'hand-on':
        handOn(message.relay);
        return;
      case 'drain':
        void gateway.drain(message.limitMs).then(() => send({ kind: 'drained' }));
        return;
      case 'close':
        void close();
        return;
      case 'setup':
        return;
      default:
        slots.receive(message);
    }
  });
  send({ kind: 'ready' });
}
