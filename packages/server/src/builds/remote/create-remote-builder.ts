import { createHmac } from 'node:crypto';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes, formatDuration } from '@ebb/contract';
import type { Clock } from '../../core/clock.ts';
import { asEbbError, EbbError } from '../../core/errors.ts';
import { newShortId } from '../../core/ids.ts';
import { createLane } from '../../core/lane.ts';
import type { BuildNews, ImageBuilder } from '../../core/ports.ts';
import { isSignature } from './check-signature.ts';
import { type BuildConfig, parseBuildConfig } from './parse-build-config.ts';
import { openContext, readBuildArchive } from './read-build-archive.ts';
import { registryLoginFor } from './registry-logins.ts';
import { openSealedSecrets, type PublicKeyResource, type SealingKeys, showPublicKey } from './sealed-secrets.ts';

/** Builds at once; each may take a core and more. */
const RUNNING = 2;
const WAITING = 8;
const BUSY_RETRY_SECONDS = 15;

/** What the remote builder is made with. */
export interface RemoteBuilderOptions {
  readonly builder: ImageBuilder;
  readonly keys: SealingKeys;
  /** File with the secret archives are signed with; read each time, so that it can be changed. */
  readonly payloadSecretPath: string;
  /** Directory of its own for archives that are being built; what is in it from before is removed. */
  readonly directory: string;
  readonly maxArchiveBytes: number;
  /** From the start of a build to the end of its push; receiving it may take as long again. */
  readonly timeoutMs: number;
  /** File with logins of registries, as `docker login` writes it. */
  readonly registriesPath: string | undefined;
  readonly clock: Pick<Clock, 'now'>;
}

/** What is said of a build, in the words of its protocol; the last one is `success` or `failed`. */
export interface BuildReport {
  readonly log: readonly string[];
  readonly image: string;
  readonly status: 'in_progress' | 'success' | 'failed';
  readonly error?: string;
  /** Seconds. */
  readonly duration?: number;
}

/** A build that was received and checked; disposing removes what was received. */
export interface ReceivedBuild extends AsyncDisposable {
  /** Builds and pushes, once it is its turn; what is said comes as it happens. Throws only the reason of `signal`. */
  run(signal: AbortSignal): AsyncIterable<BuildReport>;
}

/** Builds images for clients that have no builder of their own. */
export interface RemoteBuilder {
  /** What secrets for a build are sealed with. */
  readonly publicKey: PublicKeyResource;
  /**
   * Receives a build and checks all of it before anything of it is used. Throws BUILD_NOT_SIGNED, BUILD_TOO_LARGE,
   * BUILD_INVALID, BUILDS_FULL, REQUEST_TIMEOUT, STORE_FAILED, CONFIG_INVALID where the payload secret cannot be read, or the reason of
   * `signal`.
   */
  receive(
    body: AsyncIterable<Uint8Array>,
    signature: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<ReceivedBuild>;
}

/** Makes the remote builder. Throws STORE_FAILED, and CONFIG_INVALID for a payload secret that cannot be read. */
export async function createRemoteBuilder(options: RemoteBuilderOptions): Promise<RemoteBuilder> {
  const { builder, keys, directory, maxArchiveBytes, timeoutMs, registriesPath, clock } = options;
  const lane = createLane({ running: RUNNING });
  let held = 0;
  await readPayloadSecret(options.payloadSecretPath);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw new EbbError('STORE_FAILED', `the directory ${directory} for builds cannot be made`, { cause });
  });

  /** Writes the archive down and returns its digest under the payload secret. */
  const keep = async (body: AsyncIterable<Uint8Array>, path: string, secret: string, signal: AbortSignal) => {
    const mac = createHmac('sha256', secret);
    const untilAt = clock.now() + timeoutMs;
    let bytes = 0;
    await using file = await open(path, 'wx', 0o600).catch((cause: unknown) => {
      throw new EbbError('STORE_FAILED', 'the archive of a build could not be written to the data directory', {
        cause,
      });
    });
    for await (const chunk of body) {
      signal.throwIfAborted();
      // Nobody has shown the secret by now, so nobody may keep a place for as long as it likes.
      if (clock.now() > untilAt)
        throw new EbbError(
          'REQUEST_TIMEOUT',
          `the archive was not complete after ${formatDuration(timeoutMs)} (builderTimeout)`,
        );
      bytes += chunk.length;
      if (bytes > maxArchiveBytes)
        throw new EbbError(
          'BUILD_TOO_LARGE',
          `the archive is longer than the ${formatBytes(maxArchiveBytes)} allowed (builderMaxArchive)`,
        );
      mac.update(chunk);
      await file.writeFile(chunk).catch((cause: unknown) => {
        throw new EbbError('STORE_FAILED', 'the archive of a build could not be written to the data directory', {
          cause,
        });
      });
    }
    return mac.digest();
  };

  async function* steps(
    path: string,
    config: BuildConfig,
    secrets: Readonly<Record<string, Uint8Array>>,
    signal: AbortSignal,
  ): AsyncGenerator<BuildNews, void, undefined> {
    const { image, buildArgs, platform, skipPush } = config;
    const login = skipPush ? undefined : await registryLoginFor(image, registriesPath);
    const context = openContext(path);
    // Whoever reads it may wait for more of it for good.
    const broken = new AbortController();
    context.on('error', (error) => broken.abort(error));
    const until = AbortSignal.any([signal, broken.signal]);
    try {
      for await (const news of builder.build({ image, buildArgs, platform, secrets, context }, until)) {
        if (news.kind !== 'done') yield news;
        if (news.kind === 'failed') return;
      }
    } finally {
      context.destroy();
    }
    if (!skipPush) yield* builder.push(image, login, signal);
  }

  async function* run(
    work: (signal: AbortSignal) => AsyncIterable<BuildNews>,
    image: string,
    signal: AbortSignal,
  ): AsyncGenerator<BuildReport, void, undefined> {
    const turn = await takeTurn(signal);
    const startedAt = clock.now();
    const limit = AbortSignal.timeout(timeoutMs);
    const duration = () => ({ duration: (clock.now() - startedAt) / 1000 });
    const failed = (error: string): BuildReport => ({ log: [], image, status: 'failed', error, ...duration() });
    try {
      for await (const news of work(AbortSignal.any([signal, limit]))) {
        if (news.kind === 'line') yield { log: [news.text], image, status: 'in_progress' };
        if (news.kind !== 'failed') continue;
        yield failed(news.message);
        return;
      }
      yield { log: [], image, status: 'success', ...duration() };
    } catch (error) {
      signal.throwIfAborted();
      yield failed(
        limit.aborted
          ? `it was stopped after ${formatDuration(timeoutMs)} (builderTimeout)`
          : asEbbError(error).message,
      );
    } finally {
      turn.leave();
    }
  }

  /** Resolves when one of the places is free; rejects when the signal aborts before that. */
  async function takeTurn(signal: AbortSignal): Promise<{ leave: () => void }> {
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    void lane(() => {
      enter();
      return left;
    });
    const { promise: gone, reject } = Promise.withResolvers<never>();
    const give = () => reject(signal.reason);
    signal.addEventListener('abort', give, { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([entered, gone]);
    } catch (error) {
      leave();
      throw error;
    } finally {
      signal.removeEventListener('abort', give);
    }
    return { leave };
  }

  return {
    publicKey: showPublicKey(keys),
    async receive(body, signature, signal) {
      // Before anything of it is written: most that is not meant for here has none.
      if (!signature)
        throw notSigned('the header X-Build-Signature is missing or is not "sha256=" and 64 hexadecimal digits');
      if (held >= RUNNING + WAITING)
        throw new EbbError('BUILDS_FULL', `${held} builds wait or run already; send it again in a while`, {
          retryAfterSeconds: BUSY_RETRY_SECONDS,
        });
      held += 1;
      const path = join(directory, newShortId(12));
      await using made = new AsyncDisposableStack();
      made.defer(async () => {
        held -= 1;
        await rm(path, { force: true });
      });
      const secret = await readPayloadSecret(options.payloadSecretPath);
      if (!isSignature(signature, await keep(body, path, secret, signal)))
        throw notSigned(
          'the signature does not fit the body: another payload secret was used, or the body was changed',
        );
      const archive = await readBuildArchive(path);
      const config = parseBuildConfig(archive.config);
      const secrets = archive.secrets === undefined ? {} : openSealedSecrets(archive.secrets, keys);
      const kept = made.move();
      return {
        run: (until) => run((stop) => steps(path, config, secrets, stop), config.image, until),
        [Symbol.asyncDispose]: () => kept.disposeAsync(),
      };
    },
  };
}

async function readPayloadSecret(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new EbbError(
      'CONFIG_INVALID',
      `the payload secret of the builder cannot be read from ${path} (builderSecretFile)`,
      {
        cause,
      },
    );
  });
  const secret = text.trim();
  if (secret === '')
    throw new EbbError(
      'CONFIG_INVALID',
      `${path} (builderSecretFile) must hold the payload secret of the builder, but is empty`,
    );
  return secret;
}

function notSigned(problem: string): EbbError {
  return new EbbError('BUILD_NOT_SIGNED', problem);
}
