import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { eventually } from '../../../../testing/harness/gateway.ts';
import { createLogger } from '../core/logger.ts';
import { GatewayFleet, type GatewayFleetOptions } from './gateway-fleet.ts';

/** A gateway that says at once that it has served three calls. */
const PROGRAM = `
process.once('message', () => {
  process.send({ kind: 'ready' });
  const codes = [{ status: 200, count: 2 }, { status: 502, count: 1 }];
  const calls = [{ label: 'hello.tests', codes }];
  const nothing = { copies: [], versions: [], reused: [], lines: [], closed: 0, running: 0 };
  process.send({ kind: 'report', calls, ...nothing });
});
process.on('message', ({ kind }) => kind === 'close' && process.exit(0));
`;

test('calls that gateways have served are counted over all of them', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ebb-fleet-'));
  const program = join(directory, 'gateway.mjs');
  await writeFile(program, PROGRAM);
  const merged: string[] = [];
  const options = {
    count: 3,
    program: pathToFileURL(program),
    setup: {},
    maxConnections: 10,
    broker: { join: () => ({ leave() {}, receive() {} }), arrived() {} },
    feed: { join: () => ({ records: [], follower: { leave() {}, knows() {} } }) },
    rates: { limited: () => [] },
    metrics: { merge: ({ label }: { readonly label: string }) => void merged.push(label), mergeCopies() {} },
    logs: { append() {} },
    onCounted() {},
    logger: createLogger('silent'),
  } as unknown as GatewayFleetOptions;
  try {
    await using fleet = new GatewayFleet(options);
    await fleet.start();
    await eventually(() => fleet.served === 9);
    expect(merged).toHaveLength(3);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
