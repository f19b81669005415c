import type { IncomingMessage, ServerResponse } from 'node:http';
import { aliasSpecSchema, type ErrorBody } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually } from '../../../../testing/harness/gateway.ts';

/** A handler that holds every request until the test ends it. */
function createGate() {
  const held: { readonly path: string; readonly response: ServerResponse }[] = [];
  return {
    held,
    serve: () => (request: IncomingMessage, response: ServerResponse) =>
      void held.push({ path: request.url ?? '', response }),
    /** Ends the requests to a path. */
    open(path = '/') {
      for (const one of held.filter((request) => request.path === path)) {
        held.splice(held.indexOf(one), 1);
        one.response.end('let go');
      }
    },
  };
}

const errorOf = async (response: Response) => [response.status, ((await response.json()) as ErrorBody).code];

describe('calls at once', () => {
  test('are counted over all versions, those that wait for a start included; what ended makes room at once', async () => {
    const gate = createGate();
    await using harness = await createGatewayHarness({ serve: gate.serve });
    const url = `${harness.url}/function/f/`;
    await harness.deploy('f', { limits: { concurrency: 2 } });
    const early = [fetch(url), fetch(url)];
    await eventually(() => harness.gateway.running === 2);
    expect(await errorOf(await fetch(url))).toEqual([429, 'FUNCTION_LIMIT']);
    await eventually(() => gate.held.length === 2);
    await harness.deploy('f', { limits: { concurrency: 2 }, env: { A: 'new' } });
    expect(await errorOf(await fetch(url))).toEqual([429, 'FUNCTION_LIMIT']);
    gate.open();
    await Promise.all(early);
    const late = [fetch(url), fetch(url)];
    await eventually(() => gate.held.length === 2);
    gate.open();
    expect((await Promise.all(late)).map(({ status }) => status)).toEqual([200, 200]);
  });

  test('follow the live version’s limits: a deploy that raises them holds for the calls of the old one too', async () => {
    const gate = createGate();
    await using harness = await createGatewayHarness({ serve: gate.serve });
    const url = `${harness.url}/function/f/`;
    await harness.deploy('f', { limits: { concurrency: 1 } });
    const calls = [fetch(url)];
    await eventually(() => gate.held.length === 1);
    await harness.deploy('f', { limits: { concurrency: 2 } });
    calls.push(fetch(url));
    await eventually(() => gate.held.length === 2);
    expect(await errorOf(await fetch(url))).toEqual([429, 'FUNCTION_LIMIT']);
    gate.open();
    await Promise.all(calls);
  });

  test('of a removed function count no more once they ended', async () => {
    const gate = createGate();
    await using harness = await createGatewayHarness({ serve: gate.serve });
    harness.pools.limits.setNamespace('openfaas-fn', { concurrency: 1, reservedShare: 0 });
    await harness.deploy('gone');
    await harness.deploy('here');
    const call = fetch(`${harness.url}/function/gone/`);
    await eventually(() => gate.held.length === 1);
    await harness.remove('gone');
    expect(await errorOf(await fetch(`${harness.url}/function/here/`))).toEqual([429, 'NAMESPACE_LIMIT']);
    gate.open();
    await call;
    const next = fetch(`${harness.url}/function/here/`);
    await eventually(() => gate.held.length === 1);
    gate.open();
    expect((await next).status).toBe(200);
  });
});

describe('copies of calls', () => {
  test('count for nobody: one that hangs takes none of the calls a function may have', async () => {
    const gate = createGate();
    await using harness = await createGatewayHarness({ serve: gate.serve });
    const url = `${harness.url}/function/f/`;
    await harness.deploy('f', { limits: { concurrency: 1 } });
    await harness.deploy('f', { limits: { concurrency: 1 }, env: { A: 'new' } });
    const spec = aliasSpecSchema.parse({ versions: { 2: 100 }, shadow: { version: 1 } });
    await harness.registry.setAlias('openfaas-fn', 'f', 'live', spec);
    const call = fetch(url);
    await eventually(() => gate.held.length === 2);
    gate.held.shift()?.response.end('the call');
    expect((await call).status).toBe(200);
    const next = fetch(url);
    await eventually(() => gate.held.length >= 2);
    expect(await errorOf(await fetch(url))).toEqual([429, 'FUNCTION_LIMIT']);
    gate.open();
    await eventually(() => gate.held.length === 0 || (gate.open(), false));
    expect((await next).status).toBe(200);
  });
});

describe('a full host', () => {
  test('S2: who has more than its share gives busy instances up as they come free, though its own calls wait', async () => {
    const gate = createGate();
    await using harness = await createGatewayHarness({ serve: gate.serve, maxInstances: 2 });
    for (const name of ['loud', 'calm']) await harness.deploy(name, { concurrency: 1 });
    const loud = Array.from({ length: 4 }, (_, index) => fetch(`${harness.url}/function/loud/${index}`));
    await eventually(() => gate.held.length === 2);
    const calm = fetch(`${harness.url}/function/calm/calm`);
    await eventually(() => harness.gateway.running === 5);
    await eventually(() => [...harness.pools.all()].some((pool) => pool.size - pool.ready - pool.starting === 1));
    // It holds a request, so it runs on.
    expect(await harness.engine.list()).toHaveLength(2);
    for (const path of ['/0', '/1']) gate.open(path);
    await eventually(() => gate.held.some(({ path }) => path === '/calm'));
    expect(gate.held.map(({ path }) => path).toSorted()).toEqual(['/2', '/calm']);
    const opening = setInterval(() => ['/2', '/3', '/calm'].forEach((path) => gate.open(path)), 5);
    expect((await Promise.all([...loud, calm])).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    clearInterval(opening);
  });

  test('leaves room for what is reserved, though nobody calls it and others want more', async () => {
    const gate = createGate();
    await using harness = await createGatewayHarness({ serve: gate.serve, maxInstances: 3 });
    await harness.deploy('kept', { concurrency: 1, limits: { reserved: 1 } });
    await harness.deploy('loud', { concurrency: 1 });
    const loud = Array.from({ length: 3 }, () => fetch(`${harness.url}/function/loud/`));
    await eventually(() => gate.held.length === 2);
    const kept = fetch(`${harness.url}/function/kept/kept`);
    await eventually(() => gate.held.length === 3);
    expect(gate.held.map(({ path }) => path).toSorted()).toEqual(['/', '/', '/kept']);
    gate.open('/kept');
    const opening = setInterval(() => gate.open(), 5);
    expect((await Promise.all([...loud, kept])).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    clearInterval(opening);
  });
});
