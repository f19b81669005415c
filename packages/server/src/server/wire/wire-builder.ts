import { join } from 'node:path';
import { createBuilderDoor, type BuilderDoor } from '../../api/openfaas/builder-door.ts';
import { loadBuilderKey } from '../../builds/remote/builder-key.ts';
import { createRemoteBuilder } from '../../builds/remote/create-remote-builder.ts';
import type { Config } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { Engine } from '../../engines/engine.ts';

/** What {@link wireBuilder} joins. */
export interface WireBuilderOptions {
  readonly config: Pick<
    Config,
    | 'dataDir'
    | 'dockerSocket'
    | 'builderSecretFile'
    | 'builderMaxArchiveBytes'
    | 'builderTimeoutMs'
    | 'builderNetwork'
    | 'builderRegistries'
  >;
  readonly engine: Pick<Engine, 'name'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
}

/**
 * Makes the remote builder where it is wanted; undefined where it is not. On engines that build nothing it says so to
 * whoever asks. Throws CONFIG_INVALID and STORE_FAILED.
 */
export async function wireBuilder({
  config,
  engine,
  clock,
  logger,
}: WireBuilderOptions): Promise<BuilderDoor | undefined> {
  const { builderSecretFile: payloadSecretPath } = config;
  if (payloadSecretPath === undefined) return undefined;
  if (engine.name !== 'docker') {
    const builder = new EbbError(
      'UNSUPPORTED_BY_ENGINE',
      `the ${engine.name} engine cannot build images; start the server with "engine: docker" to build here`,
    );
    return createBuilderDoor({ builder, logger });
  }
  const { createDockerBuilder } = await import('../../engines/docker/image-builder.ts');
  const builder = await createRemoteBuilder({
    builder: createDockerBuilder({ socketPath: config.dockerSocket, network: config.builderNetwork }),
    keys: await loadBuilderKey(join(config.dataDir, 'builder.key')),
    payloadSecretPath,
    directory: join(config.dataDir, 'builds'),
    maxArchiveBytes: config.builderMaxArchiveBytes,
    timeoutMs: config.builderTimeoutMs,
    registriesPath: config.builderRegistries,
    clock,
  });
  return createBuilderDoor({ builder, logger });
}
