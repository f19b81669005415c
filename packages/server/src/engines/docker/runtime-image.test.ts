import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import { createDockerClient } from './docker-client.ts';
import { ensureRuntimeImage } from './runtime-image.ts';

describeWithDocker('the image of the Node runtime', (socketPath) => {
  const client = createDockerClient({ socketPath });
  let dataDir: string;
  beforeAll(async () => {
    dataDir = await mkdtemp('/tmp/ebb-image-');
  });
  afterAll(async () => rm(dataDir, { recursive: true }));
  const idOf = async (name: string) => (await client.docker.getImage(name).inspect()).Id;

  test('is made without a registry, once for equal content', async () => {
    const name = await ensureRuntimeImage({ client, dataDir });
    expect(name).toMatch(/^ebb\/runtime-node:[0-9a-f]{16}$/);
    const id = await idOf(name);
    expect(await ensureRuntimeImage({ client, dataDir })).toBe(name);
    expect(await idOf(name)).toBe(id);
  });

  test('keeps its name for another installation, and when its cache is damaged', async () => {
    const name = await ensureRuntimeImage({ client, dataDir });
    expect(await ensureRuntimeImage({ client, dataDir: join(dataDir, 'another') })).toBe(name);
    await writeFile(join(dataDir, 'runtime-image.json'), '{"identity":');
    expect(await ensureRuntimeImage({ client, dataDir })).toBe(name);
  });

  test('is the operator’s own when there is one', async () => {
    expect(await ensureRuntimeImage({ client, dataDir, runtimeImage: 'registry.example/node:26' })).toBe(
      'registry.example/node:26',
    );
  });

  test('cannot be made of something that is not a program, and says what to do', async () => {
    await writeFile(join(dataDir, 'node'), 'no program');
    await expect(ensureRuntimeImage({ client, dataDir, nodePath: join(dataDir, 'node') })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('runtimeImage'),
    });
  });
});
