import { Agent, createServer, type IncomingHttpHeaders } from 'node:http';
import { type AliasSpecInput, aliasSpecSchema, DEFAULT_NAMESPACE, type FunctionSpecInput } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { call, type CallOptions } from '../../../../testing/harness/call.ts';
import {
  createGatewayHarness,
  eventually,
  type GatewayHarness,
  type GatewayHarnessOptions,
  HARNESS_AUTHORIZATION,
} from '../../../../testing/harness/gateway.ts';
import { talk } from '../../../../testing/harness/talk.ts';

interface Seen {
  readonly version: number;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Versions that tell what they were asked, and do what a test says beside that. */
async function createLab(options: Partial<GatewayHarnessOptions> = {}) {
  const seen: Seen[] = [];
  const held: (() => void)[] = [];
  const does: Record<number, 'crash' | 'hang' | 'hold' | 'differ' | 'fail'> = {};
  const harness = await createGatewayHarness({
    ...options,
    serve: ({ labels: { version } }, controls) => {
      const server = createServer((request, response) => {
        let body = '';
        request.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
        request.on('end', () => {
          seen.push({ version, url: request.url ?? '', headers: request.headers, body });
          const act = does[version];
          if (act === 'hang') return;
          if (act === 'hold') held.push(() => response.end('held'));
          else if (act === 'crash') controls.exit({ code: 1 });
          else if (act === 'fail') response.writeHead(500).end('same');
          else response.end(act === 'differ' ? `v${version}` : 'same');
        });
      });
      server.on('upgrade', (_request, socket) =>
        socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      );
      return server;
    },
  });
  const url = `${harness.url}/function/f`;
  return {
    harness,
    seen,
    does,
    held,
    url,
    /** Which version answers. */
    who: async (target: string, call_: CallOptions = {}) => (await call(target, call_)).headers['x-ebb-version'],
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

async function deployVersions(harness: GatewayHarness, count: number, spec: Partial<FunctionSpecInput> = {}) {
  for (let i = 1; i <= count; i += 1) await harness.deploy('f', { ...spec, env: { VERSION: String(i) } });
}

function setAlias(harness: GatewayHarness, alias: string, spec: AliasSpecInput) {
  return harness.registry.setAlias(DEFAULT_NAMESPACE, 'f', alias, aliasSpecSchema.parse(spec));
}

describe('a version or an alias is addressed', () => {
  test.each([
    ['', {}, 'f@3'],
    ['.openfaas-fn', {}, 'f@3'],
    [':live', {}, 'f@3'],
    [':beta', {}, 'f@2'],
    ['.openfaas-fn:beta', {}, 'f@2'],
    ['@2', {}, 'f@2'],
    ['@3', {}, 'f@3'],
    ['.openfaas-fn@3', {}, 'f@3'],
    ['@1', {}, 'f@1'],
    ['', { 'X-Ebb-Version': '1' }, 'f@1'],
    ['', { 'x-ebb-alias': 'beta' }, 'f@2'],
    ['', { 'x-ebb-alias': 'beta', 'x-ebb-version': '1' }, 'f@1'],
    ['@3', { 'x-ebb-alias': 'beta' }, 'f@3'],
  ])('as %j with %o, which is %s, and the function hears nothing of it (G5)', async (suffix, headers, version) => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 3);
    await setAlias(lab.harness, 'beta', { versions: { 2: 100 } });
    expect(await lab.who(`${lab.url}${suffix}/x?y`, { headers })).toBe(version);
    expect(lab.seen[0]?.url).toBe('/x?y');
    expect(Object.keys(lab.seen[0]?.headers ?? {}).filter((name) => name.startsWith('x-ebb-'))).toEqual([
      'x-ebb-deadline',
    ]);
  });

  test.each([
    [':gamma', {}, 'ALIAS_NOT_FOUND', 'function "f" has no alias "gamma"'],
    [':2', {}, 'ALIAS_NOT_FOUND', 'lists those there are; version 2 is "@2"'],
    [':', {}, 'ALIAS_NOT_FOUND', 'function "f" has no alias ""'],
    ['@9', {}, 'VERSION_NOT_FOUND', 'function "f" has no version 9; "ebb versions f" lists those there are'],
    ['@x', {}, 'VERSION_NOT_FOUND', 'function "f" has no version "x": a version is a number, such as @1'],
    ['@01', {}, 'VERSION_NOT_FOUND', 'function "f" has no version "01": a version is a number, such as @1'],
    ['', { 'x-ebb-version': 'f@1' }, 'VERSION_NOT_FOUND', 'no version "f@1"'],
    ['', { 'x-ebb-alias': 'gamma' }, 'ALIAS_NOT_FOUND', 'no alias "gamma"'],
    ['g:live', {}, 'FUNCTION_NOT_FOUND', 'there is no function "fg"'],
  ])('as %j with %o in vain: 404 %s in one sentence', async (suffix, headers, code, message) => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 1);
    const answer = await call(`${lab.url}${suffix}`, { headers });
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text)).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test('by a host below the domain; the whole path is the function’s, and nothing else of the server is there', async () => {
    await using lab = await createLab({ domain: 'fn.test' });
    await deployVersions(lab.harness, 2);
    await setAlias(lab.harness, 'beta', { versions: { 1: 100 } });
    const at = (Host: string, path = '/function/f') => call(lab.harness.url + path, { headers: { Host } });
    expect((await at('f.fn.test')).headers['x-ebb-version']).toBe('f@2');
    expect((await at('f.openfaas-fn.fn.test:80')).headers['x-ebb-version']).toBe('f@2');
    expect((await at('beta--f.fn.test')).headers['x-ebb-version']).toBe('f@1');
    expect((await at('v1--f.fn.test')).headers['x-ebb-version']).toBe('f@1');
    expect(lab.seen.map(({ url }) => url)).toEqual(Array(4).fill('/function/f'));
    expect(JSON.parse((await at('none.fn.test', '/v1/functions')).text)).toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
    expect(JSON.parse((await at('a@b.fn.test', '/v1/functions')).text)).toMatchObject({ code: 'BAD_PATH' });
    expect((await at('fn.test', '/v1/functions')).text).toBe('elsewhere');
    expect((await at('fn.test')).headers['x-ebb-version']).toBe('f@2');
  });

  test('without a domain, hosts mean nothing', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 1);
    expect((await call(`${lab.harness.url}/x`, { headers: { Host: 'f.fn.test' } })).text).toBe('elsewhere');
  });

  test('an older version is no way around the credentials the bare name asks for', async () => {
    await using lab = await createLab();
    await lab.harness.deploy('f', { env: { A: '1' } });
    await lab.harness.deploy('f', { env: { A: '2' }, auth: 'required' });
    const headers = { authorization: HARNESS_AUTHORIZATION };
    for (const suffix of ['', '@1', '@2', '@7']) expect((await call(`${lab.url}${suffix}`)).status).toBe(401);
    expect(await lab.who(`${lab.url}@1`, { headers })).toBe('f@1');
    expect(lab.seen[0]?.headers.authorization).toBeUndefined();
    expect((await call(`${lab.url}@7`, { headers })).status).toBe(404);
  });
});

describe('a version that no alias refers to', () => {
  test('is looked up once, keeps its instance between calls, has no minimum, and scales to zero', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2, {
      scale: { min: 1, idle: '1s' },
    });
    const old = async () => (await lab.harness.engine.list()).filter(({ labels }) => labels.version === 1);
    await eventually(async () => (await old()).length === 0);
    for (let i = 0; i < 3; i += 1) expect(await lab.who(`${lab.url}@1`)).toBe('f@1');
    const [instance, ...others] = await old();
    expect([instance?.state, others]).toEqual(['running', []]);
    expect(lab.harness.events.filter(({ version, cold }) => version === 1 && cold)).toHaveLength(1);
    await eventually(async () => (await old()).length === 0);
    const key = `${DEFAULT_NAMESPACE}/f@1` as const;
    await eventually(() => lab.harness.pools.find(key) === undefined);
    expect(await lab.who(`${lab.url}@1`)).toBe('f@1');
  });

  test('has its minimum again when an alias refers to it', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2, { scale: { min: 2 } });
    expect(await lab.who(`${lab.url}@1`)).toBe('f@1');
    await setAlias(lab.harness, 'beta', { versions: { 1: 100 } });
    const pool = lab.harness.pools.find(`${DEFAULT_NAMESPACE}/f@1`);
    expect(pool?.isListed).toBe(true);
    await eventually(() => pool?.ready === 2);
  });

  test('is given up with its function', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2);
    expect(await lab.who(`${lab.url}@1`)).toBe('f@1');
    await lab.harness.remove('f');
    await eventually(async () => (await lab.harness.engine.list()).length === 0);
    expect((await call(`${lab.url}@1`)).status).toBe(404);
  });
});

describe('calls of an alias', () => {
  test.each([
    ['one connection', true],
    ['connections of their own', false],
  ])('are shared by weight, exactly, on %s', async (_what, isKept) => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2);
    await setAlias(lab.harness, 'live', { versions: { 1: 90, 2: 10 } });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const counts: Record<string, number> = {};
    for (let i = 0; i < 200; i += 1) {
      const version = String(await lab.who(lab.url, isKept ? { agent } : {}));
      counts[version] = (counts[version] ?? 0) + 1;
    }
    agent.destroy();
    expect(counts).toEqual({ 'f@1': 180, 'f@2': 20 });
  });

  test('that want credentials are shared exactly too: no turn is lost on the way to them', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2, { auth: 'required' });
    await setAlias(lab.harness, 'live', { versions: { 1: 50, 2: 50 } });
    const headers = { authorization: HARNESS_AUTHORIZATION };
    const versions: unknown[] = [];
    for (let i = 0; i < 10; i += 1) versions.push(await lab.who(lab.url, { headers }));
    expect(versions.filter((version) => version === 'f@1')).toHaveLength(5);
  });

  test('stick by a cookie that is set with the first answer, for the path the function was called by', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2);
    const sticky = { by: 'cookie', maxAge: '1h' } as const;
    await setAlias(lab.harness, 'live', { versions: { 1: 50, 2: 50 }, sticky });
    const clients: { readonly version: unknown; readonly cookie: string }[] = [];
    for (let i = 0; i < 40; i += 1) {
      const { headers } = await call(lab.url);
      const [set = ''] = headers['set-cookie'] ?? [];
      expect(set).toMatch(/^ebb-side=[\w-]{36,64}; Path=\/function\/f; Max-Age=3600; HttpOnly; SameSite=Lax$/);
      clients.push({ version: headers['x-ebb-version'], cookie: set.split(';')[0] ?? '' });
    }
    expect(clients.filter(({ version }) => version === 'f@1')).toHaveLength(20);
    for (const { version, cookie } of clients) {
      const { headers } = await call(lab.url, { headers: { cookie } });
      expect([headers['x-ebb-version'], headers['set-cookie']]).toEqual([version, undefined]);
    }
    // Who was at 2 and has no place there any more moves; nobody else does.
    await setAlias(lab.harness, 'live', { versions: { 1: 70, 2: 30 }, sticky });
    let moved = 0;
    for (const { version, cookie } of clients) {
      const now = await lab.who(lab.url, { headers: { cookie } });
      if (version === 'f@1') expect(now).toBe('f@1');
      else if (now === 'f@1') moved += 1;
    }
    expect(moved).toBeLessThan(18);
    await setAlias(lab.harness, 'live', { versions: { 1: 100, 2: 0 }, sticky });
    for (const { cookie } of clients) expect(await lab.who(lab.url, { headers: { cookie } })).toBe('f@1');
  });

  test('V2: stay on their version, whatever becomes of the alias meanwhile', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2);
    await setAlias(lab.harness, 'live', { versions: { 1: 100 } });
    lab.does[1] = 'hold';
    const running = call(lab.url);
    await eventually(() => lab.held.length === 1);
    await setAlias(lab.harness, 'live', { versions: { 2: 100 } });
    expect(await lab.who(lab.url)).toBe('f@2');
    for (const letGo of lab.held) letGo();
    expect(await running).toMatchObject({ status: 200, text: 'held', headers: { 'x-ebb-version': 'f@1' } });
  });

  test('go where rules for testers send them, WebSockets too', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 3);
    await setAlias(lab.harness, 'live', {
      versions: { 3: 100 },
      match: [
        { header: 'X-Tester', value: 'ada', version: 1 },
        { cookie: 'beta', version: 2 },
      ],
    });
    expect(await lab.who(lab.url)).toBe('f@3');
    expect(await lab.who(lab.url, { headers: { 'x-tester': 'ada' } })).toBe('f@1');
    expect(await lab.who(lab.url, { headers: { cookie: 'a=b; beta=1' } })).toBe('f@2');
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nHost: a';
    const wire = (path: string, ...more: string[]) =>
      talk(lab.harness.port, [`GET /function/${path} HTTP/1.1`, upgrade, ...more, '', ''].join('\r\n'));
    expect(await wire('f', 'Cookie: beta=1')).toMatch(/^HTTP\/1.1 101 [^]*X-Ebb-Version: f@2\r\n/);
    expect(await wire('f@1')).toMatch(/^HTTP\/1.1 101 [^]*X-Ebb-Version: f@1\r\n/);
    expect(await wire('f', 'X-Ebb-Version: 2')).toMatch(/^HTTP\/1.1 101 [^]*X-Ebb-Version: f@2\r\n/);
    expect(await wire('f:none')).toMatch(/^HTTP\/1.1 404 [^]*ALIAS_NOT_FOUND/);
    await setAlias(lab.harness, 'beta', { versions: { 1: 50, 2: 50 }, sticky: { by: 'cookie' } });
    expect(await wire('f:beta')).toMatch(/^HTTP\/1.1 101 [^]*Set-Cookie: ebb-side=[^;]+; Path=\/function\/f:beta; /);
  });
});

describe('a shadow version', () => {
  const shadowed = async (lab: Awaited<ReturnType<typeof createLab>>, percent = 100) => {
    await deployVersions(lab.harness, 2, { timeout: '300ms' });
    await setAlias(lab.harness, 'live', { versions: { 1: 100 }, shadow: { version: 2, percent } });
  };
  const copies = ({ harness }: { readonly harness: GatewayHarness }) =>
    harness.events.flatMap(({ shadow, ...event }) => (shadow ? [{ ...event, shadow }] : []));

  test.each([
    ['no body', {}, ''],
    ['a whole body', { body: 'hello' }, 'hello'],
    ['a body in pieces', { body: ['hel', 'lo'] }, 'hello'],
  ])('gets a copy of a call with %s, as a call of its own', async (_what, sent: CallOptions, body) => {
    await using lab = await createLab();
    await shadowed(lab);
    const answer = await call(`${lab.url}/x?y`, { ...sent, headers: { 'x-own': 'kept', 'x-ebb-shadow-of': 'forged' } });
    expect(answer).toMatchObject({ status: 200, text: 'same', headers: { 'x-ebb-version': 'f@1' } });
    await eventually(() => copies(lab).length === 1);
    const [primary, copy] = [1, 2].map((version) => lab.seen.find((one) => one.version === version));
    expect(copy).toMatchObject({ url: '/x?y', body });
    expect(copy?.headers).toMatchObject({ 'x-own': 'kept', 'x-ebb-shadow-of': answer.headers['x-call-id'] });
    expect(primary?.headers['x-ebb-shadow-of']).toBeUndefined();
    expect(copy?.headers['x-call-id']).not.toBe(answer.headers['x-call-id']);
    const [{ shadow, callId, version } = {}] = copies(lab) as Partial<ReturnType<typeof copies>[0]>[];
    expect(shadow).toMatchObject({ of: answer.headers['x-call-id'], outcome: 'same', primaryStatus: 200 });
    expect([callId, version]).toEqual([copy?.headers['x-call-id'], 2]);
  });

  test.each([
    ['hang', 'failed'],
    ['crash', 'failed'],
    ['differ', 'body-differs'],
    ['fail', 'status-differs'],
  ] as const)('that should %s changes no answer, and is told apart: %s', async (act, outcome) => {
    await using lab = await createLab();
    await shadowed(lab);
    lab.does[2] = act;
    for (let i = 0; i < 5; i += 1) expect(await call(lab.url)).toMatchObject({ status: 200, text: 'same' });
    await eventually(() => copies(lab).length === 5);
    const outcomes = new Set(copies(lab).map(({ shadow }) => shadow.outcome));
    expect(outcomes.delete(outcome)).toBe(true);
    // Starts of what keeps crashing are held back.
    expect([...outcomes].filter((one) => act !== 'crash' || one !== 'dropped')).toEqual([]);
    expect(lab.harness.gateway.running).toBe(0);
  });

  test('gets no body that is too large, and the call has it whole', async () => {
    await using lab = await createLab();
    await shadowed(lab);
    const body = 'x'.repeat(200_000);
    expect(await call(lab.url, { body })).toMatchObject({ status: 200 });
    await eventually(() => copies(lab).length === 1);
    expect(copies(lab)[0]?.shadow.outcome).toBe('dropped');
    expect(lab.seen.map((one) => [one.version, one.body.length])).toEqual([[1, 200_000]]);
  });

  test('gets its percentage of the calls, and none of those that testers make', async () => {
    await using lab = await createLab();
    await shadowed(lab, 25);
    await lab.harness.deploy('f', { env: { VERSION: '3' } });
    await setAlias(lab.harness, 'live', {
      versions: { 1: 100 },
      match: [{ header: 'x-tester', version: 3 }],
      shadow: { version: 2, percent: 25 },
    });
    for (let i = 0; i < 20; i += 1) {
      await call(lab.url);
      await call(lab.url, { headers: { 'x-tester': '1' } });
    }
    await eventually(() => copies(lab).length === 5);
    expect(lab.seen.filter(({ version }) => version === 2)).toHaveLength(5);
  });

  test('that asks for credentials gets no copies of calls that gave none', async () => {
    await using lab = await createLab();
    await lab.harness.deploy('f', { env: { VERSION: '1' } });
    await lab.harness.deploy('f', { env: { VERSION: '2' }, auth: 'required' });
    await setAlias(lab.harness, 'live', { versions: { 1: 100 }, shadow: { version: 2 } });
    expect((await call(lab.url)).status).toBe(200);
    await eventually(() => copies(lab).length === 1);
    expect(lab.seen.map(({ version }) => version)).toEqual([1]);
  });

  test('that hangs holds up no shutdown: its copies are given up when the calls have ended', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2);
    await setAlias(lab.harness, 'live', { versions: { 1: 100 }, shadow: { version: 2 } });
    lab.does[2] = 'hang';
    await call(lab.url);
    await eventually(() => lab.seen.length === 2);
    await lab.harness.gateway.drain(5_000);
    await eventually(() => copies(lab).length === 1);
    expect(copies(lab)[0]).toMatchObject({ version: 2, status: 499, shadow: { outcome: 'dropped' } });
    expect(lab.harness.pools.find(`${DEFAULT_NAMESPACE}/f@2`)?.inFlight).toBe(0);
  });

  test('that is slow gets no more than a bounded number of copies at once', async () => {
    await using lab = await createLab();
    await deployVersions(lab.harness, 2, { concurrency: 200, scale: { max: 1 } });
    await setAlias(lab.harness, 'live', { versions: { 1: 100 }, shadow: { version: 2 } });
    lab.does[2] = 'hold';
    await call(lab.url);
    await eventually(() => lab.held.length === 1);
    for (let i = 0; i < 120; i += 1) expect((await call(lab.url)).status).toBe(200);
    await eventually(() => copies(lab).length === 21);
    expect(new Set(copies(lab).map(({ shadow }) => shadow.outcome))).toEqual(new Set(['dropped']));
    expect(lab.held).toHaveLength(100);
    for (const letGo of lab.held) letGo();
    await eventually(() => copies(lab).length === 121);
  });
});

describe('a function whose live version asks for credentials', () => {
  test.each<[string, string, Record<string, string>]>([
    ['by its bare name', '', {}],
    ['by number', '@1', {}],
    ['by alias', ':stable', {}],
    ['by a header that names the version', '', { 'x-ebb-version': '1' }],
    ['by a header that names the alias', '', { 'x-ebb-alias': 'stable' }],
    ['by what sends testers to the version', '', { 'x-tester': '1' }],
  ])('asks everybody for them, also who calls a public version %s', async (_how, suffix, headers) => {
    await using lab = await createLab();
    await lab.harness.deploy('f', { env: { VERSION: '1' } });
    await lab.harness.deploy('f', { env: { VERSION: '2' }, auth: 'required' });
    await setAlias(lab.harness, 'stable', { versions: { 1: 100 } });
    await setAlias(lab.harness, 'live', { versions: { 2: 100 }, match: [{ header: 'x-tester', version: 1 }] });
    const url = lab.url.replace(/\/f\b/, `/f${suffix}`);
    expect((await call(url, { headers })).status).toBe(401);
    const authorization = HARNESS_AUTHORIZATION;
    expect((await call(url, { headers: { ...headers, authorization } })).status).toBe(200);
  });
});
