import { execFileSync } from 'node:child_process';
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE, type FunctionSpecInput } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/gateway.ts';
import { deployLab, waitForLog } from '../harness/lab.ts';
import { startLoad } from '../harness/load.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One caller on a connection of its own, so that callers are spread over the gateways. */
function createCaller(server: TestServer) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    call: (path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const request = httpRequest(`${server.url}${path}`, { agent, headers }, (response: IncomingMessage) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
          response.on('error', reject);
        });
        request.on('error', reject);
        request.end();
      }),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function asResponse({ status, text }: Answer): Response {
  return new Response(text, { status });
}

describe('two gateways', () => {
  let server: TestServer;
  /** Deploys without having an instance started, so that the first call meets none. */
  const deployCold = async (name: string, spec: Partial<FunctionSpecInput>) => {
    const archive = execFileSync('tar', ['-C', path.join(ROOT, 'testing/fixtures/lab'), '-cf', '-', '.']);
    const { digest } = await server.client.code.upload(DEFAULT_NAMESPACE, new Uint8Array(archive), 'tar');
    const ref = { namespace: DEFAULT_NAMESPACE, name };
    await server.client.functions.deploy(ref, { spec: { runtime: 'node', ...spec }, code: digest }, { probe: false });
  };
  const gateways = async () => {
    const health = (await (await fetch(`${server.url}/v1/health`)).json()) as {
      readonly gateways: readonly { readonly pid: number; readonly state: string; readonly connections: number }[];
    };
    return health.gateways;
  };
  const metrics = async () => {
    const { metricsUrl } = server.file as unknown as { readonly metricsUrl: string };
    return (await fetch(`${metricsUrl}/metrics`)).text();
  };

  beforeAll(async () => {
    server = await startTestServer({
      engine: 'process',
      env: { EBB_GATEWAYS: '2', EBB_METRICS_LISTEN: '127.0.0.1:0' },
    });
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  test('G1: concurrency 1 is exact over all of them, every caller is served, and metrics add up', async () => {
    await deployCold('alone', { concurrency: 1, scale: { max: 1 } });
    const path = `/function/alone/alone?ms=2`;
    const callers = Array.from({ length: 12 }, () => createCaller(server));
    const answers = await Promise.all(
      callers.map(async (caller) => {
        const mine: Answer[] = [];
        for (let i = 0; i < 25; i += 1) mine.push(await caller.call(path));
        return mine;
      }),
    );
    const all = answers.flat();
    expect(all.filter(({ status }) => status !== 200)).toEqual([]);
    const seen = all.map(({ text }) => JSON.parse(text) as { readonly most: number; readonly instance: string });
    expect(Math.max(...seen.map(({ most }) => most))).toBe(1);
    expect(new Set(seen.map(({ instance }) => instance)).size).toBe(1);
    const spread = await gateways();
    expect(spread.map(({ connections }) => connections > 2)).toEqual([true, true]);
    const line = `gateway_function_invocation_total{function_name="alone.${DEFAULT_NAMESPACE}",code="200"} 300`;
    await eventually(async () => (await metrics()).includes(line));
    for (const caller of callers) caller[Symbol.dispose]();
  });

  test('a slot that is idle with one gateway is used by another instead of starting an instance', async () => {
    await deployCold('moving', { concurrency: 1, scale: { max: 5 } });
    using one = createCaller(server);
    using other = createCaller(server);
    for (let i = 0; i < 20; i += 1) {
      for (const caller of [one, other]) expect((await caller.call('/function/moving/who')).status).toBe(200);
    }
    expect(await server.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name: 'moving' })).toHaveLength(1);
  });

  test('a cold start is explained to the call that waited for it, in its line, in the metrics and by describe', async () => {
    await deployCold('slow', { scale: { max: 1 } });
    const [first, second] = await Promise.all([1, 2].map(() => fetch(server.functionUrl('slow', '/who'))));
    const explained = /^queue;dur=[\d.]+, admit;.* init;dur=[\d.]+, first-byte;dur=[\d.]+, cold;desc="[a-z-]+"$/;
    for (const response of [first, second]) expect(response?.headers.get('server-timing')).toMatch(explained);
    expect((await fetch(server.functionUrl('slow', '/who'))).headers.get('server-timing')).toBeNull();
    await waitForLog(server, 'slow', 'cold start (');
    const [start] = await server.client.functions.coldStarts({ namespace: DEFAULT_NAMESPACE, name: 'slow' });
    expect(start).toMatchObject({ version: 1, calls: 2, start: { cause: 'scale-from-zero' } });
    expect(await metrics()).toMatch(/ebb_cold_start_phase_seconds_count\{phase="init"\} [1-9]/);
    const calls = `ebb_cold_starts_total{function_name="slow.${DEFAULT_NAMESPACE}"} 2`;
    await eventually(async () => (await metrics()).includes(calls));
    expect(await metrics()).toMatch(/ebb_calls_waited_total\{cause="[a-z-]+"\} [1-9]/);
  });

  test('V2: a deploy under traffic fails no call, and who deployed meets the new version', async () => {
    await deployLab(server, 'live', ['--env', 'LAB_VERSION=0']);
    const callers = Array.from({ length: 6 }, () => createCaller(server));
    let turn = 0;
    const load = startLoad(async () => {
      turn += 1;
      const caller = callers[turn % callers.length];
      return asResponse((await caller?.call('/function/live/alone?ms=3')) ?? { status: 0, text: '' });
    }, 6);
    for (const version of ['1', '2']) {
      await deployLab(server, 'live', ['--env', `LAB_VERSION=${version}`]);
      const seen = await Promise.all(
        Array.from({ length: 4 }, async () => {
          using caller = createCaller(server);
          return JSON.parse((await caller.call('/function/live/who')).text) as { readonly version: string };
        }),
      );
      expect(seen.map((one) => one.version)).toEqual(Array.from({ length: 4 }, () => version));
    }
    const { ok, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(ok).toBeGreaterThan(10);
    for (const caller of callers) caller[Symbol.dispose]();
  });

  test('a gateway that is killed is replaced, loses its own calls only, and its slots return', async () => {
    await deployCold('kept', { concurrency: 1, scale: { max: 2 } });
    using one = createCaller(server);
    using other = createCaller(server);
    const calls = [one, other].map((caller) => caller.call('/function/kept/alone?ms=600').then(String, () => 'cut'));
    await eventually(async () => {
      const found = await server.client.functions.instances({ namespace: DEFAULT_NAMESPACE, name: 'kept' });
      return found.filter(({ inFlight }) => inFlight > 0).length === 2;
    });
    const [victim] = await gateways();
    process.kill(victim?.pid ?? 0, 'SIGKILL');
    expect((await Promise.all(calls)).filter((outcome) => outcome === 'cut')).toHaveLength(1);
    await eventually(async () => {
      const now = await gateways();
      return now.length === 2 && now.every(({ state, pid }) => state === 'ready' && pid !== victim?.pid);
    });
    const again = Array.from({ length: 8 }, async () => {
      using caller = createCaller(server);
      return (await caller.call('/function/kept/alone?ms=5')).status;
    });
    expect(await Promise.all(again)).toEqual(Array.from({ length: 8 }, () => 200));
  });

  test('an answer that comes before the last write of its request is not lost', async () => {
    const spec = { scale: { min: 1, max: 1 } };
    // All but the first change nothing, and are answered at once.
    for (let round = 0; round < 40; round += 1) await deployCold('unchanged', spec);
  });

  test('the control API answers through any of them: uploads, followed logs, refusals', async () => {
    await deployLab(server, 'told');
    const leave = new AbortController();
    const response = await fetch(server.functionUrl('told', '/ticks?ms=20'), { signal: leave.signal });
    await response.body?.getReader().read();
    leave.abort();
    await waitForLog(server, 'told', 'the listener went away');
    const refused = await fetch(`${server.url}/v1/namespaces`, { headers: { authorization: 'Bearer wrong-secret' } });
    expect(refused.status).toBe(401);
    expect(((await refused.json()) as { readonly code: string }).code).toBe('UNAUTHENTICATED');
  });

  test('a call whose instance ends is told how, and what it wrote, by the gateway that had it on lease', async () => {
    await deployCold('ends', {});
    const response = await fetch(server.functionUrl('ends', '/crash'));
    expect([response.status, await response.json()]).toMatchObject([
      502,
      { code: 'INSTANCE_CRASHED', message: 'the instance of ends ended with code 3 during the call' },
    ]);
  });

  test('a function that wants credentials gets calls that have them, and no others', async () => {
    await deployCold('closed', { auth: 'required' });
    using caller = createCaller(server);
    expect((await caller.call('/function/closed/who')).status).toBe(401);
    const authorization = `Bearer ${server.file.token}`;
    for (let i = 0; i < 3; i += 1) {
      expect((await caller.call('/function/closed/who', { authorization })).status).toBe(200);
    }
    expect((await caller.call('/function/closed/who', { authorization: 'Bearer wrong-secret' })).status).toBe(401);
  });

  test('S2: SIGTERM lets running calls end, and leaves no process behind', async () => {
    await deployLab(server, 'last');
    const pids = (await gateways()).map(({ pid }) => pid);
    using one = createCaller(server);
    using other = createCaller(server);
    const running = [one, other].map((caller) => caller.call('/function/last/alone?ms=700'));
    await sleep(200);
    expect(await server.stop()).toBe(0);
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200]);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('E1: when the first process is killed its gateways end by themselves', async () => {
    await server.start();
    const pids = (await gateways()).map(({ pid }) => pid);
    expect(pids.filter(isAlive)).toHaveLength(2);
    await server.kill();
    await eventually(() => !pids.some(isAlive));
    await server.start();
    using caller = createCaller(server);
    expect((await caller.call('/function/live/who')).status).toBe(200);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
