import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/gateway.ts';
import { askSystem } from '../harness/openfaas.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

/** Writes what it is called with to its log, or keeps a core busy for so many milliseconds. */
const HANDLER = `export default {
  async fetch(request) {
    const url = new URL(request.url);
    const until = performance.now() + Number(url.searchParams.get('burn') ?? 0);
    while (performance.now() < until);
    const text = url.searchParams.get('say');
    if (text) console.log(text);
    return new Response('ok');
  },
};
`;

interface Line {
  readonly name: string;
  readonly namespace: string;
  readonly instance: string;
  readonly timestamp: string;
  readonly text: string;
}

/** RFC 3339, as clients in Go parse it. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

describe.each([0, 1])('logs and use as clients of OpenFaaS ask for them, with %i gateway processes', (gateways) => {
  let server: TestServer;
  const ref = (name: string) => ({ namespace: DEFAULT_NAMESPACE, name });
  const deploy = async (name: string) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'ebb-e2e-'));
    writeFileSync(path.join(directory, 'index.mjs'), HANDLER);
    const archive = execFileSync('tar', ['-C', directory, '-cf', '-', '.']);
    rmSync(directory, { recursive: true });
    const { digest } = await server.client.code.upload(DEFAULT_NAMESPACE, new Uint8Array(archive), 'tar');
    const spec = { runtime: 'node', handler: 'index.mjs' } as const;
    await server.client.functions.deploy(ref(name), { spec, code: digest });
  };
  const logs = (query: string, init?: RequestInit) => askSystem(server, `/system/logs?${query}`, init);
  const say = async (name: string, text: string) => {
    expect((await fetch(server.functionUrl(name, `/?say=${encodeURIComponent(text)}`))).status).toBe(200);
  };
  const lines = async (query: string): Promise<Line[]> => {
    const response = await logs(query);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
    const text = await response.text();
    return text === ''
      ? []
      : text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as Line);
  };

  beforeAll(async () => {
    server = await startTestServer({ engine: 'process', env: { EBB_GATEWAYS: String(gateways) } });
    await deploy('talker');
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test('without following, the answer ends after the stored lines, which select as asked and outlive the instances', async () => {
    for (const text of ['one', 'two', 'three {"json": true}']) await say('talker', text);
    await eventually(async () => (await lines('name=talker&tail=-1')).length >= 3);
    const all = await lines('name=talker&follow=false&tail=-1');
    expect(all.map(({ text }) => text)).toEqual(['one', 'two', 'three {"json": true}']);
    for (const { name, namespace, timestamp, instance } of all) {
      expect([name, namespace]).toEqual(['talker', DEFAULT_NAMESPACE]);
      expect(timestamp).toMatch(MOMENT);
      expect(instance).not.toBe('');
    }
    const texts = async (query: string) => (await lines(`name=talker&${query}`)).map(({ text }) => text);
    expect(await texts('')).toHaveLength(3);
    expect(await texts('tail=1')).toEqual(['three {"json": true}']);
    expect(await texts(`tail=-1&since=${encodeURIComponent(all[1]?.timestamp ?? '')}`)).toContain('two');
    expect(await texts(`since=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}`)).toEqual([]);
    expect(await texts(`tail=-1&instance=${all[0]?.instance}`)).toHaveLength(3);
    expect(await texts('tail=-1&instance=other')).toEqual([]);
    // Of a repeated key the last counts.
    expect(await texts('tail=-1&tail=1')).toHaveLength(1);
    await askSystem(server, '/system/scale-function/talker', {
      method: 'POST',
      body: JSON.stringify({ serviceName: 'talker', replicas: 0 }),
    });
    await eventually(async () => (await server.client.functions.instances(ref('talker'))).length === 0);
    expect(await texts('tail=-1')).toHaveLength(3);
  });

  test('with following, the head comes at once, each line as it is written, and the end with the function', async () => {
    await deploy('quiet');
    const response = await logs('name=quiet&follow=1&tail=0');
    expect(response.status).toBe(200);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    await say('quiet', 'now');
    const first = await reader?.read();
    expect(JSON.parse(first?.value ?? '')).toMatchObject({ name: 'quiet', text: 'now' });
    const removal = askSystem(server, '/system/functions', {
      method: 'DELETE',
      body: JSON.stringify({ functionName: 'quiet' }),
    });
    expect((await reader?.read())?.done).toBe(true);
    expect((await removal).status).toBe(202);
  });

  test('what cannot be read is 422, what is not there 404, who is not logged in 401, another method 405', async () => {
    expect((await logs('name=talker&tail=many')).status).toBe(422);
    expect((await logs('name=talker&since=yesterday')).status).toBe(422);
    expect((await logs('')).status).toBe(422);
    expect((await logs('name=nobody')).status).toBe(404);
    expect((await logs('name=talker&follow=perhaps')).status).toBe(200);
    expect((await logs('name=talker', { headers: { authorization: 'Basic YWRtaW46d3Jvbmc=' } })).status).toBe(401);
    expect((await logs('name=talker', { method: 'POST' })).status).toBe(405);
  });

  test('usage says what all instances use, when it is asked for', async () => {
    const status = async (query: string) =>
      (await (await askSystem(server, `/system/function/talker${query}`)).json()) as {
        readonly usage?: { readonly cpu: number; readonly totalMemoryBytes: number };
      };
    const burning = fetch(server.functionUrl('talker', '/?burn=1500'));
    await eventually(async () => ((await status('?usage=1')).usage?.totalMemoryBytes ?? 0) > 2 ** 20);
    const { usage } = await status('?usage=1');
    expect(usage?.cpu).toBeGreaterThan(100);
    expect((await burning).status).toBe(200);
    expect((await status('')).usage).toBeUndefined();
  });
});
