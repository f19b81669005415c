import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { startTestServer } from '../harness/server.ts';

const CODE = 'export default { fetch: (request) => Response.json([...request.headers.keys()]) };\n';
const OWN = 'Bearer the-functions-own';

test('credentials for the platform are never kept of a call, only what was meant for its function', async () => {
  await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0' } });
  const { client, dataDir, file, url } = server;
  const code = path.join(dataDir, 'code');
  await mkdir(code);
  await writeFile(path.join(code, 'index.js'), CODE);
  await server.ebbOk(['deploy', '--name', 'open', code]);
  await writeFile(
    path.join(dataDir, 'ebb.yaml'),
    'functions:\n  closed: { runtime: node, code: ./code, auth: required }\n',
  );
  await server.ebbOk(['deploy'], { cwd: dataDir });

  const { token } = file;
  const platform = `Bearer ${token}`;
  const submit = async (to: string, headers: Record<string, string>, body = '{}') => {
    const response = await fetch(`${url}${to}`, { method: 'POST', headers, body });
    expect(response.status).toBe(202);
    return response.headers.get('location')?.split('/').pop() ?? ((await response.json()) as { id: string }).id;
  };
  const json = { 'content-type': 'application/json', authorization: platform };
  const ids = [
    await submit('/v1/invocations', json, JSON.stringify({ function: 'open', json: {} })),
    await submit('/async-function/closed', { authorization: platform }),
    await submit('/async-function/closed', { authorization: OWN, 'x-ebb-authorization': platform }),
    await submit('/async-function/open', { 'proxy-authorization': platform, 'x-ebb-authorization': platform }),
  ];
  const seen: (string | undefined)[] = [];
  for (const id of ids) {
    expect((await client.invocations.wait(id, { limitMs: 20_000 })).state).toBe('succeeded');
    const names = (await (await client.invocations.result(id)).body.json()) as string[];
    seen.push(names.find((name) => name === 'authorization'));
  }
  expect(seen).toEqual([undefined, undefined, 'authorization', undefined]);

  const kept: Buffer[] = [];
  const data = path.join(dataDir, 'data');
  for (const name of await readdir(data))
    if (name.startsWith('queue.db')) kept.push(await readFile(path.join(data, name)));
  expect(kept.some((bytes) => bytes.includes(OWN))).toBe(true);
  expect(kept.some((bytes) => bytes.includes(token))).toBe(false);
}, 40_000);
