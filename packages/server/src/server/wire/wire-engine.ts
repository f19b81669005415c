import type { Config } from '../../config/config-schema.ts';
import type { Logger } from '../../core/logger.ts';
import type { Engine } from '../../engines/engine.ts';
import type { Installation } from '../installation.ts';
import { prepareNodeRuntime } from '../../runtimes/prepare-runtime.ts';

/** The engine that was chosen, and what the person who started the server should know about the choice. */
export interface WiredEngine {
  readonly engine: Engine;
  readonly warnings: readonly string[];
}

/**
 * Makes the engine the settings ask for. `auto` takes Docker if its daemon answers, else processes. Drivers are
 * loaded only when they are used.
 */
export async function wireEngine(config: Config, installation: Installation, logger: Logger): Promise<WiredEngine> {
  const runtime = await prepareNodeRuntime({ dataDir: installation.dataDir });
  const common = {
    installation: installation.id,
    runDir: installation.runDir,
    dataDir: installation.dataDir,
    runtime,
    logger,
  };

  if (config.engine !== 'process') {
    const { createDockerEngine } = await import('../../engines/docker/docker-engine.ts');
    const engine = createDockerEngine({
      ...common,
      socketPath: config.dockerSocket,
      freezeBy: config.freezeBy,
      preparedNetworks: config.preparedNetworks,
      ...(config.runtimeImage === undefined ? {} : { runtimeImage: config.runtimeImage }),
    });
    const status = await engine.probe();
    if (status.ok || config.engine === 'docker') {
      return {
        engine,
        warnings: status.ok ? [] : [`Docker does not answer at ${config.dockerSocket}: ${status.message}`],
      };
    }
    await engine[Symbol.asyncDispose]();
  }

  const { createProcessEngine } = await import('../../engines/process/process-engine.ts');
  const reason = config.engine === 'auto' ? `no Docker daemon answers at ${config.dockerSocket}, so ` : '';
  return {
    engine: createProcessEngine(common),
    warnings: [
      `${reason}functions run as plain processes: they are NOT isolated from this machine or from each other; deploy only code you trust`,
    ],
  };
}
