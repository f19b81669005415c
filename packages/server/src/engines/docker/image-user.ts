import { extract } from 'tar-stream';
import { pipeline } from 'node:stream/promises';
import type Dockerode from 'dockerode';
import { type DockerClient, statusOf } from './docker-client.ts';
import { refused } from './resolve-image.ts';

const MAX_PASSWD_BYTES = 2 ** 20;

/** Whether an image's user is root by number or by its usual name, or nobody in particular, which is the same. */
export function isRoot(user: string): boolean {
  return ['', '0', 'root'].includes(user.split(':')[0] ?? '');
}

/**
 * The number of an image's own user. Root is refused, whatever it is called: names are looked up in the image's user
 * database, read from `container`, which must be made of the image and not have run yet. Throws IMAGE_REFUSED and
 * ENGINE_ errors.
 */
export async function imageUid(
  client: DockerClient,
  container: Dockerode.Container,
  image: string,
  user: string,
): Promise<number> {
  const name = user.split(':')[0] ?? '';
  const uid = /^\d+$/.test(name) ? Number(name) : name === '' ? 0 : await lookUp(client, container, name);
  if (uid === undefined) {
    throw refused(image, `names the user "${user}", which its /etc/passwd does not have; set USER to a number`);
  }
  if (uid === 0) {
    throw refused(
      image,
      'runs as root; set USER to another one, or leave out "user: image" so that it runs as the namespace’s own user',
    );
  }
  return uid;
}

async function lookUp(client: DockerClient, container: Dockerode.Container, name: string): Promise<number | undefined> {
  let passwd = '';
  await client
    .call('read the users of an image', client.deadlines.changeMs, async (abortSignal) => {
      const archive = await container.getArchive({ path: '/etc/passwd', abortSignal });
      const entries = extract();
      entries.on('entry', (header, content, next) => {
        content.on('data', (chunk: unknown) => {
          if (header.type === 'file' && passwd.length < MAX_PASSWD_BYTES) passwd += String(chunk);
        });
        content.on('end', next);
      });
      await pipeline(archive, entries);
    })
    .catch((error: unknown) => {
      // An image may have no such file.
      if (statusOf(error) !== 404) throw error;
    });
  for (const line of passwd.split('\n')) {
    const fields = line.split(':');
    if (fields[0] === name && /^\d+$/.test(fields[2] ?? '')) return Number(fields[2]);
  }
  return undefined;
}
