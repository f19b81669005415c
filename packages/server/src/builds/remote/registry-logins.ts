import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { EbbError } from '../../core/errors.ts';
import type { RegistryLogin } from '../../core/ports.ts';

const schema = z.object({ auths: z.record(z.string(), z.object({ auth: z.string().optional() })).optional() });
const DOCKER_HUB = 'docker.io';

/**
 * Who may push to the registry of an image, by a file as `docker login` writes it, which is read each time. Undefined
 * without a file or an entry. Throws CONFIG_INVALID when the file cannot be read.
 */
export async function registryLoginFor(image: string, path: string | undefined): Promise<RegistryLogin | undefined> {
  if (path === undefined) return undefined;
  let auths: z.output<typeof schema>['auths'];
  try {
    ({ auths } = schema.parse(JSON.parse(await readFile(path, 'utf8'))));
  } catch (cause) {
    throw new EbbError('CONFIG_INVALID', 'the file with the logins of registries (builderRegistries) cannot be read', {
      cause,
    });
  }
  const host = registryOf(image);
  const names = host === DOCKER_HUB ? ['https://index.docker.io/v1/', 'index.docker.io', DOCKER_HUB] : [host];
  const auth = names.map((name) => auths?.[name]?.auth ?? auths?.[`https://${name}`]?.auth).find(Boolean);
  const [, username, password] = /^([^:]*):([^]*)$/.exec(Buffer.from(auth ?? '', 'base64').toString('utf8')) ?? [];
  return username === undefined || password === undefined ? undefined : { username, password };
}

/** The host of an image's registry, as Docker tells it from a path. */
export function registryOf(image: string): string {
  const [first = ''] = image.split('/', 1);
  return image.includes('/') && (/[.:]/.test(first) || first === 'localhost') ? first : DOCKER_HUB;
}
