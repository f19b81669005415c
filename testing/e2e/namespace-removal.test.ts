import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { describeWithNats } from '../harness/nats.ts';
import { startTestServer } from '../harness/server.ts';
import { startNats } from '../services/nats.ts';

/** Calls and jobs outlive their function but not their namespace, which waits for those that have not ended. */
async function removeNamespace(env: Readonly<Record<string, string>>): Promise<void> {
  await using server = await startTestServer({ engine: 'process', env: { EBB_POOL_SIZE: '0', ...env } });
  const { client, dataDir } = server;
  const [namespace, name] = ['acme', 'work'];
  await mkdir(path.join(dataDir, name));
  await writeFile(path.join(dataDir, name, 'index.js'), 'export default { fetch: (r) => new Response(r.body) };\n');
  const deploy = () => server.ebbOk(['deploy', '--namespace', namespace, '--name', name, name], { cwd: dataDir });
  const remove = () => server.ebb(['namespace', 'remove', namespace]);
  const submit = (more: object) => client.invocations.submit({ function: name, body: 'ours', ...more }, { namespace });
  await server.ebbOk(['namespace', 'create', namespace]);
  await deploy();
  const done = await submit({ idempotencyKey: 'once' });
  expect((await client.invocations.wait(done.id, { limitMs: 10_000 })).state).toBe('succeeded');
  const soon = await submit({ delay: '500ms' });
  const later = await submit({ delay: '1h' });
  await server.ebbOk(['remove', '--namespace', namespace, name]);

  // Of a function that is gone, what comes due ends with a reason, and what is to come waits: it may be deployed again.
  expect(await client.invocations.wait(soon.id, { limitMs: 10_000 })).toMatchObject({
    state: 'dead',
    dead: { reason: 'gone' },
  });
  expect((await client.invocations.get(later.id)).state).toBe('queued');
  const refused = await remove();
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('1 wait and 0 run; let them end or cancel them');
  expect((await client.invocations.list({ namespace })).invocations).toHaveLength(3);

  await client.invocations.cancel(later.id);
  expect((await remove()).code).toBe(0);
  await server.ebbOk(['namespace', 'create', namespace]);
  await deploy();
  expect((await client.invocations.list({ namespace })).invocations).toEqual([]);
  await expect(client.invocations.payload(done.id, { namespace })).rejects.toMatchObject({
    code: 'INVOCATION_NOT_FOUND',
  });
  await expect(client.invocations.get(done.id)).rejects.toMatchObject({ code: 'INVOCATION_NOT_FOUND' });
  // The key of somebody before is nobody's.
  expect((await submit({ idempotencyKey: 'once', body: 'theirs' })).id).not.toBe(done.id);
}

const TITLE =
  'a namespace is not removed while calls wait in it, and one of the same name finds nothing of it (A2, T3)';

test(TITLE, () => removeNamespace({}), 30_000);

describeWithNats('calls on NATS', () => {
  test(
    TITLE,
    async () => {
      await using nats = await startNats();
      await removeNamespace({ EBB_QUEUE: 'nats', EBB_NATS_URL: nats.url });
    },
    30_000,
  );
});
