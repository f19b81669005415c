import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { type ColdStart, DEFAULT_NAMESPACE } from '@ebb/contract';
import { expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { eventually } from '../harness/gateway.ts';
import { waitForLog } from '../harness/lab.ts';
import { ROOT, startTestServer } from '../harness/server.ts';

const LAB = { namespace: DEFAULT_NAMESPACE, name: 'lab' };
const PHASES = ['queue', 'admit', 'code', 'made', 'init', 'first-byte', 'cold'];

describeOnEngines('cold starts explained', (engine) => {
  test('each says where its time went: in the answer, the log, the metrics and by describe, also back at zero', async () => {
    await using server = await startTestServer({ engine, env: { EBB_METRICS_LISTEN: '127.0.0.1:0' } });
    const archive = execFileSync('tar', ['-C', path.join(ROOT, 'testing/fixtures/lab'), '-cf', '-', '.']);
    const { digest } = await server.client.code.upload(DEFAULT_NAMESPACE, archive, 'tar');
    const spec = { runtime: 'node' as const, scale: { idle: '1s', freezeAfter: '200ms' } };
    await server.client.functions.deploy(LAB, { spec, code: digest }, { probe: false });

    const cold = await fetch(server.functionUrl('lab', '/who'));
    const timing = cold.headers.get('server-timing') ?? '';
    const named = timing.split(', ').map((metric) => metric.split(';')[0]?.replace(/^(?:create|specialise)$/, 'made'));
    expect([cold.status, named]).toEqual([200, PHASES]);
    expect((await fetch(server.functionUrl('lab', '/who'))).headers.get('server-timing')).toBeNull();
    const cause = /cold;desc="([a-z-]+)"/.exec(timing)?.[1] ?? '';
    await waitForLog(server, 'lab', `cold start (${cause}): admit `);

    const frozen = async () => (await server.client.functions.instances(LAB)).some(({ state }) => state === 'frozen');
    await eventually(frozen);
    const thawed = await fetch(server.functionUrl('lab', '/who'));
    expect(thawed.headers.get('server-timing')).toMatch(/^queue;dur=[\d.]+, thaw;dur=.*, wait;desc="thaw"$/);
    await eventually(frozen);
    const { metricsUrl } = server.file as unknown as { readonly metricsUrl: string };
    const metrics = async () => (await fetch(`${metricsUrl}/metrics`)).text();
    await expect.poll(metrics).toContain(`ebb_instances_frozen{function_name="lab.${DEFAULT_NAMESPACE}"} 1`);
    const page = await metrics();
    expect(page).toMatch(/ebb_instance_starts_total\{cause="scale-from-zero",spare="[a-z]+"\} 1/);
    expect(page).toContain('ebb_cold_start_phase_seconds_count{phase="init"} 1');

    await eventually(async () => (await server.client.functions.instances(LAB)).length === 0, 15_000);
    const shown = await server.ebbOk(['describe', 'lab']);
    expect(shown).toMatch(/^COLD START +VERSION +CAUSE +POOL +CALLS +TOTAL +OF WHICH$/m);
    expect(shown).toMatch(new RegExp(`^\\d+ s ago +1 +${cause} .* ms +admit .* init \\d.* ms$`, 'm'));
    const { coldStarts } = JSON.parse(await server.ebbOk(['describe', 'lab', '--json'])) as {
      readonly coldStarts: readonly ColdStart[];
    };
    expect(coldStarts).toMatchObject([{ version: 1, cause, calls: 1, start: { cause: 'scale-from-zero' } }]);
  });
});
