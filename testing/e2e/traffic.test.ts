import { Agent } from 'node:http';
import { type AliasSpecInput, DEFAULT_NAMESPACE } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, type CallOptions } from '../harness/call.ts';
import { eventually } from '../harness/gateway.ts';
import { deployLab, waitForLog } from '../harness/lab.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

const CALLERS = 8;

describe.each([
  ['one process', '0'],
  ['two gateways', '2'],
])('calls of an alias through %s', (_what, gateways) => {
  let server: TestServer;

  const setAlias = async (name: string, alias: string, spec: AliasSpecInput) => {
    const { url, token } = server.file;
    const path = `/v1/namespaces/${DEFAULT_NAMESPACE}/functions/${name}/aliases/${alias}`;
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const response = await fetch(url + path, { method: 'PUT', headers, body: JSON.stringify(spec) });
    expect([response.status, await response.text()]).toEqual([200, expect.any(String)]);
  };
  const deployVersions = async (name: string, count: number) => {
    for (let i = 1; i <= count; i += 1) await deployLab(server, name, ['--env', `LAB_VERSION=${i}`]);
  };
  const at = (name: string, rest = '/who') => `${server.url}/function/${name}${rest}`;
  const who = async (url: string, options: CallOptions = {}): Promise<string> => {
    const { status, text, headers } = await call(url, options);
    if (status !== 200) throw new Error(`${url} was answered with ${status} ${text}`);
    const { version } = JSON.parse(text) as { readonly version: string };
    // The version that says it answered is the one that did.
    expect(headers['x-ebb-version']).toMatch(new RegExp(`@${version}$`));
    return version;
  };
  const metrics = async () => {
    const { metricsUrl } = server.file as unknown as { readonly metricsUrl: string };
    return (await fetch(`${metricsUrl}/metrics`)).text();
  };

  beforeAll(async () => {
    const env = { EBB_GATEWAYS: gateways, EBB_DOMAIN: 'fn.test', EBB_METRICS_LISTEN: '127.0.0.1:0' };
    server = await startTestServer({ engine: 'process', env });
    await deployVersions('split', 3);
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  test('weights hold within 1 % over 10,000 calls', async () => {
    await setAlias('split', 'live', { versions: { 1: 70, 2: 25, 3: 5 } });
    const counts: Record<string, number> = {};
    const caller = async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let i = 0; i < 10_000 / CALLERS; i += 1) {
        const { headers } = await call(at('split'), { agent });
        const version = String(headers['x-ebb-version']);
        counts[version] = (counts[version] ?? 0) + 1;
      }
      agent.destroy();
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    for (const [version, wanted] of [
      ['split@1', 7_000],
      ['split@2', 2_500],
      ['split@3', 500],
    ] as const) {
      expect(Math.abs((counts[version] ?? 0) - wanted), JSON.stringify(counts)).toBeLessThanOrEqual(100);
    }
  }, 30_000);

  test('a client with the cookie stays when weights change, but for the fewest, whichever process it meets', async () => {
    const sticky = { by: 'cookie' } as const;
    await setAlias('split', 'sticky', { versions: { 1: 80, 2: 20 }, sticky });
    const url = at('split', ':sticky/who');
    const clients = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const { headers, text } = await call(url);
        const cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? '';
        return { version: (JSON.parse(text) as { readonly version: string }).version, headers: { cookie } };
      }),
    );
    expect(Math.abs(clients.filter(({ version }) => version === '2').length - 20)).toBeLessThanOrEqual(1);
    for (const { version, headers } of clients) expect(await who(url, { headers })).toBe(version);
    await setAlias('split', 'sticky', { versions: { 1: 60, 2: 40 }, sticky });
    const after = await Promise.all(clients.map(({ headers }) => who(url, { headers })));
    const moved = clients.filter(({ version }, i) => version !== after[i]);
    expect(moved.every(({ version }) => version === '1')).toBe(true);
    expect(moved.length).toBeLessThan(45);
    await setAlias('split', 'sticky', { versions: { 1: 100 }, sticky });
    const back = await Promise.all(clients.map(({ headers }) => who(url, { headers })));
    expect(new Set(back)).toEqual(new Set(['1']));
  });

  test('a version or an alias is addressed by path, header and host, one that no alias refers to as well', async () => {
    await deployVersions('named', 3);
    await setAlias('named', 'beta', { versions: { 2: 100 } });
    const headers = (name: string, value: string) => ({ headers: { [name]: value } });
    expect(await who(at('named'))).toBe('3');
    expect(await who(at('named', ':beta/who'))).toBe('2');
    expect(await who(at('named', '@1/who'))).toBe('1');
    expect(await who(at('named', `.${DEFAULT_NAMESPACE}@2/who`))).toBe('2');
    expect(await who(at('named'), headers('X-Ebb-Version', '1'))).toBe('1');
    expect(await who(at('named'), headers('X-Ebb-Alias', 'beta'))).toBe('2');
    expect(await who(`${server.url}/who`, headers('Host', 'named.fn.test'))).toBe('3');
    expect(await who(`${server.url}/who`, headers('Host', 'beta--named.fn.test'))).toBe('2');
    expect(await who(`${server.url}/who`, headers('Host', `v1--named.${DEFAULT_NAMESPACE}.fn.test`))).toBe('1');
    const refused = async (url: string, options: CallOptions = {}) => {
      const { status, text } = await call(url, options);
      return [status, (JSON.parse(text) as { readonly code: string }).code];
    };
    expect(await refused(at('named', '@9'))).toEqual([404, 'VERSION_NOT_FOUND']);
    expect(await refused(at('named', ':gamma'))).toEqual([404, 'ALIAS_NOT_FOUND']);
    expect(await refused(`${server.url}/v1/health`, headers('Host', 'v1.fn.test'))).toEqual([
      404,
      'FUNCTION_NOT_FOUND',
    ]);
    // The instances of a version that is called by its number alone stay between calls.
    const before = JSON.parse((await call(at('named', '@1/who'))).text) as { readonly instance: string };
    const after = JSON.parse((await call(at('named', '@1/who'))).text) as { readonly instance: string };
    expect(after.instance).toBe(before.instance);
  });

  test('testers come to their version ahead of the weights', async () => {
    await setAlias('split', 'tested', {
      versions: { 1: 100 },
      match: [
        { header: 'X-Tester', value: 'ada', version: 2 },
        { cookie: 'beta', version: 3 },
      ],
    });
    const url = at('split', ':tested/who');
    expect(await who(url)).toBe('1');
    expect(await who(url, { headers: { 'x-tester': 'ada' } })).toBe('2');
    expect(await who(url, { headers: { cookie: 'beta=1' } })).toBe('3');
  });

  test('a shadow version that hangs or crashes alters no answer, and what came of its copies is counted and told', async () => {
    await deployVersions('mirrored', 2);
    await deployLab(server, 'mirrored', ['--env', 'LAB_BREAKS=hang', '--timeout', '500ms']);
    await deployLab(server, 'mirrored', ['--env', 'LAB_BREAKS=crash']);
    const counted = async (outcome: string) => {
      const series = `ebb_shadow_calls_total{function_name="mirrored.${DEFAULT_NAMESPACE}",outcome="${outcome}"}`;
      const page = await metrics();
      return Number(
        page
          .split('\n')
          .find((line) => line.startsWith(series))
          ?.slice(series.length + 1) ?? 0,
      );
    };
    const shadowedBy = (version: number) => setAlias('mirrored', 'live', { versions: { 1: 100 }, shadow: { version } });
    const callAll = async () => {
      const body = '{"a":1}';
      for (let i = 0; i < 5; i += 1) {
        expect(await who(at('mirrored'))).toBe('1');
        expect(await call(at('mirrored', '/echo'), { body })).toMatchObject({ status: 200, text: body });
      }
    };
    await shadowedBy(2);
    await callAll();
    const answered = async () => [await counted('body-differs'), await counted('same')] as const;
    // While it starts, some may be dropped.
    const all = async () => (await answered()).reduce((sum, count) => sum + count, await counted('dropped'));
    await eventually(async () => (await all()) === 10);
    for (const count of await answered()) expect(count).toBeGreaterThan(0);
    await waitForLog(server, 'mirrored', ': body-differs');
    for (const version of [3, 4]) {
      const failed = await counted('failed');
      await shadowedBy(version);
      await callAll();
      await eventually(async () => (await counted('failed')) > failed);
    }
  });
});
