import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDockerHarness, type DockerHarness } from '../../../../../testing/harness/docker-engine.ts';
import { describeWithDocker } from '../../../../../testing/harness/docker.ts';
import { BASE_IMAGE, buildImage, ensureBaseImage } from '../../../../../testing/services/base-image.ts';
import { awaitReady } from '../await-ready.ts';
import type { InstanceExit, InstanceSpec } from '../engine.ts';
import { containerName } from './build-host-config.ts';

/** An HTTP server for images that have Perl and nothing else. */
const SERVER = `
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 5, ReuseAddr => 1) or die;
while (my $c = $s->accept) { <$c>; my $b = "uid $<"; print $c "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($b) . "\\r\\nConnection: close\\r\\n\\r\\n$b"; close $c }
`;
const RUNNING = new Promise<InstanceExit>(() => {});

describeWithDocker('images', (socketPath) => {
  const docker = new Dockerode({ socketPath });
  let harness: DockerHarness;
  let contextDir: string;
  const tags: string[] = [];
  beforeAll(async () => {
    await ensureBaseImage(docker);
    contextDir = await mkdtemp('/tmp/ebb-images-');
    await writeFile(join(contextDir, 'server.pl'), SERVER);
    harness = await createDockerHarness({ socketPath, code: {} });
    await harness.engine.prepare();
  }, 600_000);
  afterAll(async () => {
    await harness[Symbol.asyncDispose]();
    for (const tag of tags) await docker.getImage(tag).remove({ force: true });
    await rm(contextDir, { recursive: true });
  });

  const build = async (...lines: string[]): Promise<string> => {
    const tag = `ebb-test/image:${harness.installation}-${tags.length}`;
    await writeFile(
      join(contextDir, 'Dockerfile'),
      [`FROM ${BASE_IMAGE}`, 'COPY server.pl /server.pl', 'CMD ["perl", "/server.pl"]', ...lines, ''].join('\n'),
    );
    await buildImage(docker, { tag, contextDir });
    tags.push(tag);
    return tag;
  };
  const specOf = (image: string, changes: Partial<InstanceSpec> = {}) =>
    harness.spec({ source: { kind: 'image', image, port: 8123 }, ...changes });
  const serve = async (spec: InstanceSpec): Promise<string> => {
    const { id, target } = await harness.engine.create(spec);
    if (target.kind !== 'tcp') throw new Error('an image is spoken to by address');
    await awaitReady(target, { signal: AbortSignal.timeout(20_000), exited: RUNNING });
    const answer = await fetch(`http://${target.host}:${target.port}/`);
    const body = await answer.text();
    expect((await harness.engine.list()).find((instance) => instance.id === id)?.target).toEqual(target);
    await harness.engine.stop(id, { graceMs: 0 });
    return body;
  };

  test('an unchanged image serves on the port it is told, as the namespace’s user', async () => {
    expect(await serve(specOf(await build()))).toBe('uid 200001');
  });

  test('an image may run as its own user, if that is not root', async () => {
    expect(await serve(specOf(await build('USER games'), { user: 'image' }))).toBe('uid 5');
    expect(await serve(specOf(await build('USER 1234'), { user: 'image' }))).toBe('uid 1234');
  });

  test('secrets can be read by whoever the image runs as, and by nobody else', async () => {
    const image = await build('USER games');
    for (const user of ['tenant', 'image'] as const) {
      const spec = harness.spec({
        source: {
          kind: 'image',
          image,
          port: 8123,
          command: ['sh', '-c', 'cat /var/openfaas/secrets/key; stat -c " %a" /var/openfaas/secrets/key'],
        },
        secrets: { key: Buffer.from('s3cret') },
        user,
      });
      await harness.engine.create(spec);
      const lines = await Array.fromAsync(harness.engine.logs(spec.id, { follow: true }));
      await harness.engine.stop(spec.id, { graceMs: 0 });
      expect(lines.map(({ text }) => text)).toEqual([process.getuid?.() === 0 ? 's3cret 400' : 's3cret 444']);
    }
  });

  test('an image without network is reached by the gateway, and reaches nothing itself (case 25)', async () => {
    const image = await build();
    expect(await serve(specOf(image, { network: 'none' }))).toBe('uid 200001');
    const host = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => host.listen(0, '0.0.0.0', resolve));
    const { port } = host.address() as AddressInfo;
    const script = `
      use IO::Socket::INET;
      my ($own) = do { open my $f, "<", "/etc/hosts"; map { /^(\\d+\\.\\d+\\.\\d+)\\.\\d+/ && $1 ne "127.0.0" ? "$1.1" : () } <$f> };
      for my $to ($own, "169.254.169.254", "198.51.100.2") {
        my $s = IO::Socket::INET->new(PeerAddr => $to, PeerPort => ${port}, Timeout => 1);
        print defined $s ? "reached $to\\n" : "no\\n";
      }
      print defined(gethostbyname("deb.debian.org")) ? "reached names\\n" : "no\\n";
    `;
    const spec = harness.spec({
      source: { kind: 'image', image, port: 8123, command: ['perl', '-e', script] },
      env: { RES_OPTIONS: 'timeout:1 attempts:1' },
      network: 'none',
    });
    await harness.engine.create(spec);
    const lines = await Array.fromAsync(harness.engine.logs(spec.id, { follow: true }));
    host.close();
    await harness.engine.stop(spec.id, { graceMs: 0 });
    expect(lines.map(({ text }) => text)).toEqual(['no', 'no', 'no', 'no']);
  });

  test.each([
    ['no user', []],
    ['USER 0', ['USER 0']],
    ['root by name', ['USER root']],
    ['root under another name', ['RUN echo "app:x:0:0::/:/bin/sh" >> /etc/passwd', 'USER app']],
    ['a user that does not exist', ['USER 99:99', 'USER ghost']],
  ])('an image with %s may not choose its user', async (_what, lines) => {
    const spec = specOf(await build(...lines), { user: 'image' });
    await expect(harness.engine.create(spec)).rejects.toMatchObject({ code: 'IMAGE_REFUSED' });
    expect(await harness.engine.list()).toEqual([]);
  });

  test('declared volumes lie in memory, and end with the instance', async () => {
    const volumes = async () => (await docker.listVolumes()).Volumes.length;
    const before = await volumes();
    const spec = specOf(await build('VOLUME /var/lib/data'));
    await harness.engine.create(spec);
    const info = await docker.getContainer(containerName(harness.installation, spec.id)).inspect();
    expect(info.HostConfig.Tmpfs).toHaveProperty('/var/lib/data');
    await harness.engine.stop(spec.id, { graceMs: 0 });
    expect(await volumes()).toBe(before);
  });

  test('a declared volume can be written, also where the image has a directory of root', async () => {
    const image = await build('RUN mkdir --mode=755 /var/lib/full && touch /var/lib/full/x', 'VOLUME /var/lib/full');
    const source = { kind: 'image' as const, image, port: 8123, command: ['touch', '/var/lib/full/y'] };
    const { id } = await harness.engine.create(specOf(image, { source }));
    const written = await Array.fromAsync(harness.engine.logs(id, { follow: true }));
    await harness.engine.stop(id, { graceMs: 0 });
    expect(written.map(({ text }) => text)).toEqual([]);
  });

  describe('resolving', () => {
    test('gives the id an image has now, so that a moved tag changes nothing', async () => {
      const image = await build();
      const id = await harness.engine.resolveImage(image);
      expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(await harness.engine.resolveImage(id)).toBe(id);
      const spec = specOf('ebb-test/no-such-tag:1', {
        source: { kind: 'image', image: 'ebb-test/no-such-tag:1', digest: id, port: 8123 },
      });
      expect(await serve(spec)).toBe('uid 200001');
    });

    test.each(['/proc/self/fd/8', '/proc'])('refuses the working directory %s', async (directory) => {
      // A build could not enter it; an import sets what it is told.
      const tag = `ebb-test/image:${harness.installation}-import${directory.length}`;
      const [repo = '', name = ''] = tag.split(':');
      const exported = await docker.createContainer({ Image: BASE_IMAGE, Cmd: ['true'] });
      try {
        await exported.commit({ repo, tag: name, changes: `WORKDIR ${directory}` });
      } finally {
        await exported.remove();
      }
      tags.push(tag);
      await expect(harness.engine.resolveImage(tag)).rejects.toMatchObject({
        code: 'IMAGE_REFUSED',
        message: expect.stringContaining(directory),
      });
    });

    test('an image that is nowhere is IMAGE_NOT_FOUND with the registry’s words (case 39)', async () => {
      await expect(harness.engine.resolveImage('127.0.0.1:1/absent:1')).rejects.toMatchObject({
        code: 'IMAGE_NOT_FOUND',
        message: expect.stringContaining('127.0.0.1:1/absent:1'),
      });
    });

    test.each(['a//b', 'a/../../containers', 'Upper/Case', 'a:b:c', 'a@sha256:12', 'a/./b', '-a'])(
      'refuses %s, which is no reference (case 18)',
      async (image) => {
        await expect(harness.engine.resolveImage(image)).rejects.toMatchObject({ code: 'IMAGE_REFUSED' });
      },
    );
  });

  test('a command that the image does not have is said to be that', async () => {
    const spec = specOf(BASE_IMAGE, {
      source: { kind: 'image', image: BASE_IMAGE, port: 8123, command: ['/no/such/program'] },
    });
    // The init process starts even so, and then ends as a shell would.
    const instance = await harness.engine.create(spec).catch((error: unknown) => error);
    if (instance instanceof Error) {
      expect(instance).toMatchObject({ code: 'START_FAILED' });
    } else {
      await expect
        .poll(async () => (await harness.engine.list())[0])
        .toMatchObject({ state: 'exited', exit: { code: 127 } });
    }
    await harness.engine.stop(spec.id, { graceMs: 0 });
  });
});
