import { EbbError } from '../../core/errors.ts';
import type { ImageFacts } from './build-host-config.ts';
import { ask } from './dial.ts';
import { type DockerClient, daemonWords, statusOf } from './docker-client.ts';
import { readProgress } from './read-progress.ts';

const IMAGE_ID_PATTERN = /^sha256:[0-9a-f]{64}$/;
/** A name with an optional registry, tag and digest, as the distribution specification has it. */
const REFERENCE_PATTERN =
  /^(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]{0,251}[a-zA-Z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:[._-]{1,2}[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]{1,2}[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

interface ImageInfo {
  readonly Id: string;
  readonly Os: string;
  readonly Config?: {
    readonly User?: string;
    readonly WorkingDir?: string;
    readonly Volumes?: Readonly<Record<string, unknown>> | null;
  };
}

/**
 * The facts of an image that is on the host, or undefined when it is not. Throws IMAGE_REFUSED for one that asks for
 * what no instance may have, and ENGINE_ errors.
 */
export async function inspectImage(
  client: DockerClient,
  image: string,
  signal?: AbortSignal,
): Promise<ImageFacts | undefined> {
  // It becomes part of the path of an API call, where ".." or "//" would lead elsewhere.
  if (!IMAGE_ID_PATTERN.test(image) && !REFERENCE_PATTERN.test(image)) {
    throw refused(
      image,
      'is not a valid reference: it must be like "registry.example:5000/team/name:tag", in lower case',
    );
  }
  let info: ImageInfo;
  try {
    info = await client.call(
      `look for the image "${image}"`,
      client.deadlines.queryMs,
      (abortSignal) => ask<ImageInfo>(client.docker, `/images/${image}/json`, abortSignal),
      signal,
    );
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
  if (info.Os !== 'linux') throw refused(image, `is for ${info.Os}, but only Linux images run here`);
  const directory = info.Config?.WorkingDir ?? '';
  // Through a leaked descriptor such a directory has led out of the container (CVE-2024-21626).
  if (/^\/*(?:\.\/+)*proc(?:\/|$)/.test(directory) || directory.split('/').includes('..')) {
    throw refused(image, `has the working directory "${directory}", which no instance may have; set another WORKDIR`);
  }
  const volumes = Object.keys(info.Config?.Volumes ?? {});
  const illegal = volumes.find(
    (path) =>
      !/^\/[\w.@+-]+(?:\/[\w.@+-]+)*\/?$/.test(path) || /^\/(?:proc|sys|dev)(?:\/|$)|\/\.\.?(?:\/|$)/.test(path),
  );
  if (illegal !== undefined) throw refused(image, `declares the volume "${illegal}", which no instance may have`);
  return { id: info.Id, user: info.Config?.User ?? '', volumes };
}

/** Like {@link inspectImage}, but pulls an image that is not on the host. Throws IMAGE_NOT_FOUND as well. */
export async function obtainImage(client: DockerClient, image: string, signal?: AbortSignal): Promise<ImageFacts> {
  const present = await inspectImage(client, image, signal);
  if (present) return present;
  if (IMAGE_ID_PATTERN.test(image)) {
    throw notFound(image, 'an image given by its id must already be on this host');
  }
  try {
    await client.call(
      `pull the image "${image}"`,
      client.deadlines.pullMs,
      async (abortSignal) => {
        // Without a tag the daemon would pull all of them.
        const reference = /(?:@|:[^/]*$)/.test(image) ? image : `${image}:latest`;
        await readProgress(await client.docker.pull(reference, { abortSignal }));
      },
      signal,
    );
  } catch (error) {
    const isEngineFault = error instanceof EbbError && error.code !== 'ENGINE_FAILED';
    if (isEngineFault || signal?.aborted || /no space left/i.test(daemonWords(error))) throw error;
    throw notFound(image, daemonWords(error), error);
  }
  const pulled = await inspectImage(client, image, signal);
  if (!pulled) throw notFound(image, 'it was pulled but is not there');
  return pulled;
}

/** An image that is said to exist does not. */
export function notFound(image: string, reason: string, cause?: unknown): EbbError {
  return new EbbError(
    'IMAGE_NOT_FOUND',
    `the image "${image}" is not on this host and cannot be pulled: ${reason}; check its name and tag, or "docker pull" it on the host`,
    {
      cause,
    },
  );
}

/** An image asks for something that is not given; `problem` is the sentence's end. */
export function refused(image: string, problem: string): EbbError {
  return new EbbError('IMAGE_REFUSED', `the image "${image}" ${problem}`);
}
