import { readFile } from 'node:fs/promises';
import { engineConformance } from '../../../../../testing/conformance/engine.ts';
import { createDockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';

const PROBE = new URL('../../../../../testing/conformance/engine-probe/index.ts', import.meta.url);

describeWithDocker('docker', (socketPath) => {
  engineConformance('docker', async () => {
    const harness = await createDockerHarness({ socketPath, code: { 'index.ts': await readFile(PROBE, 'utf8') } });
    return {
      engine: harness.engine,
      spec: (overrides) => harness.spec(overrides),
      reopen: async () => harness.open(),
      another: async () => harness.open('another-installation'),
      dispose: async () => harness[Symbol.asyncDispose](),
    };
  });
});
