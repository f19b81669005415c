import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { BuildNews, ImageBuild, ImageBuilder, RegistryLogin } from '../../core/ports.ts';
import { openBuildSession } from './build-session.ts';
import { createDockerClient } from './docker-client.ts';
import { readBuildNews } from './read-build-news.ts';

/** What images are built with. */
export interface DockerBuilderOptions {
  readonly socketPath: string;
  /** What the steps of a build reach: what containers on the daemon's default bridge do, nothing, or what the host does. */
  readonly network: 'bridge' | 'none' | 'host';
}

/** The part of dockerode's transport that is used directly. */
interface Modem {
  dial(
    request: {
      readonly path: string;
      readonly method: 'POST';
      readonly file?: Readable;
      readonly authconfig?: RegistryLogin;
      readonly options: Readonly<Record<string, unknown>>;
      readonly isStream: true;
      readonly abortSignal: AbortSignal;
      readonly statusCodes: Readonly<Record<number, true | string>>;
    },
    done: (error: unknown, answer: unknown) => void,
  ): void;
}

type Request = Pick<Parameters<Modem['dial']>[0], 'path' | 'options' | 'file' | 'authconfig'>;

const STATUS_CODES = { 200: true, 400: 'bad parameter', 404: 'not found', 500: 'server error' } as const;

/**
 * Builds with the BuildKit in the Docker daemon. A step runs as the daemon runs any build: root in a container with the
 * daemon's default capabilities and system call filter, and without devices, mounts of the host or credentials.
 */
export function createDockerBuilder({ socketPath, network }: DockerBuilderOptions): ImageBuilder {
  const client = createDockerClient({ socketPath });
  const { docker } = client;

  const ask = async (what: string, request: Request, signal: AbortSignal): Promise<AsyncIterable<unknown>> =>
    client.call(
      what,
      client.deadlines.pullMs,
      (abortSignal) =>
        new Promise((resolve, reject) => {
          (docker.modem as Modem).dial(
            // The answer goes on after the call.
            {
              ...request,
              method: 'POST',
              isStream: true,
              statusCodes: STATUS_CODES,
              abortSignal: AbortSignal.any([signal, abortSignal]),
            },
            (error, answer) => (error ? reject(error) : resolve(answer as AsyncIterable<unknown>)),
          );
        }),
      signal,
    );

  async function* news(
    what: string,
    request: Request,
    signal: AbortSignal,
  ): AsyncGenerator<BuildNews, void, undefined> {
    // Whoever leaves before the end ends the step as well: the daemon sees its client go.
    const left = new AbortController();
    try {
      yield* readBuildNews(await ask(what, request, AbortSignal.any([signal, left.signal])));
    } catch (error) {
      // What breaks off because it was stopped says only that it broke off.
      signal.throwIfAborted();
      throw error;
    } finally {
      left.abort();
    }
  }

  async function* build(given: ImageBuild, signal: AbortSignal): AsyncGenerator<BuildNews, void, undefined> {
    const { image, buildArgs, platform, secrets, context } = given;
    using session = await openBuildSession(docker, secrets, signal);
    const options = {
      version: '2',
      session: session.id,
      buildid: randomUUID(),
      t: image,
      buildargs: buildArgs,
      ...(platform === undefined ? {} : { platform }),
      networkmode: network === 'bridge' ? 'default' : network,
    };
    yield* news(`build the image "${image}"`, { path: '/build?', file: context, options }, signal);
  }

  async function* push(
    image: string,
    login: RegistryLogin | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<BuildNews, void, undefined> {
    const at = image.lastIndexOf(':');
    const isTagged = at > image.lastIndexOf('/');
    const [name, tag] = isTagged ? [image.slice(0, at), image.slice(at + 1)] : [image, 'latest'];
    const path = `/images/${name}/push?`;
    const authconfig = login ?? { username: '', password: '' };
    yield* news(`push the image "${image}"`, { path, options: { tag }, authconfig }, signal);
  }

  return { build, push };
}
