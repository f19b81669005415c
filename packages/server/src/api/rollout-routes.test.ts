import { deployResourceSchema, rolloutResourceSchema } from '@ebb/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { startApi } from '../../../../testing/harness/api.ts';

const HOME = '/v1/namespaces/openfaas-fn/functions';

let server: Awaited<ReturnType<typeof startApi>>;
beforeAll(async () => {
  server = await startApi();
});
afterAll(() => server.stop());

const json = async (response: Response): Promise<unknown> => response.json();
const put = (name: string, image: string, rollout?: unknown) =>
  server.send('PUT', `${HOME}/${name}`, { spec: { image }, ...(rollout === undefined ? {} : { rollout }) });
const command = (name: string, verb: string) => server.send('POST', `${HOME}/${name}/rollout/${verb}`);

describe('rollouts', () => {
  test('begin with a deploy, are read back, changed by hand and listed', async () => {
    await put('web', 'example:1');
    const deployed = deployResourceSchema.parse(await json(await put('web', 'example:2', { strategy: 'canary' })));
    expect(deployed).toMatchObject({ version: 1, change: 'updated', rollout: { from: 1, to: 2, state: 'running' } });
    expect(rolloutResourceSchema.parse(await json(await server.send('GET', `${HOME}/web/rollout`)))).toMatchObject({
      id: 1,
      strategy: 'canary',
      steps: [
        { weight: 5, pause: '1m' },
        { weight: 25, pause: '1m' },
        { weight: 50, pause: '1m' },
        { weight: 100, pause: '1m' },
      ],
    });
    expect(await json(await command('web', 'pause'))).toMatchObject({ state: 'paused' });
    expect(await json(await command('web', 'resume'))).toMatchObject({ state: 'running' });
    expect(await json(await command('web', 'promote'))).toMatchObject({ state: 'promoted', weight: 100 });
    const list = z.array(rolloutResourceSchema).parse(await json(await server.send('GET', `${HOME}/web/rollouts`)));
    expect(list.map(({ state }) => state)).toEqual(['promoted']);
    expect(await json(await server.send('GET', `${HOME}/web`))).toMatchObject({ version: 2 });
  });

  test('are refused in one sentence and with a code', async () => {
    await put('app', 'example:1');
    expect(await json(await command('app', 'abort'))).toMatchObject({
      code: 'ROLLOUT_NOT_RUNNING',
      message: 'no rollout of "app" is running',
    });
    expect(await json(await server.send('GET', `${HOME}/app/rollout`))).toMatchObject({
      code: 'ROLLOUT_NOT_FOUND',
      message: '"app" has had no rollout; "ebb deploy --rollout canary" makes one',
    });
    expect(await json(await put('app', 'example:2', { strategy: 'canary', samples: 3 }))).toMatchObject({
      code: 'INVALID_REQUEST',
      message: '"rollout.samples" is 3 but must be at least 10',
    });
    await put('app', 'example:2', { strategy: 'linear' });
    const second = await put('app', 'example:3', { strategy: 'canary' });
    expect([second.status, await json(second)]).toEqual([
      409,
      expect.objectContaining({
        code: 'ROLLOUT_RUNNING',
        message:
          'a rollout of "app" from version 1 to 2 is running; wait for it, or use "ebb rollout promote app" or "abort"',
      }),
    ]);
    expect(await json(await put('app', 'example:3'))).toMatchObject({ code: 'ROLLOUT_RUNNING' });
    expect(await json(await server.send('GET', `${HOME}/nobody/rollout`))).toMatchObject({
      code: 'FUNCTION_NOT_FOUND',
    });
    expect(await json(await command('nobody', 'pause'))).toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
  });
});
