import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { newShortId } from '../../packages/server/src/core/ids.ts';
import { call } from '../harness/call.ts';
import { buildContractImage } from '../harness/contract-image.ts';
import { describeWithDocker } from '../harness/docker.ts';
import { createOpenFaasClient, type OpenFaasClient } from '../harness/openfaas-client.ts';
import { startTestServer, type TestServer } from '../harness/server.ts';

/** A server without a health path, of an image that says nothing but what to run. */
const PLAIN = `use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die;
while (my $c = $s->accept) { my $l = <$c>; while (<$c>) { last if /^\\r?$/ }
print $c $l =~ m{ / } ? "HTTP/1.0 200 OK\\r\\n\\r\\n$<" : "HTTP/1.0 404 No\\r\\n\\r\\n"; close $c }`;

/** A server that passes calls on to one on port 3000, which comes up a second later and says "inner". */
const OUTER = `use IO::Socket::INET; $SIG{CHLD} = 'IGNORE';
sub serve { my ($p, $f) = @_; my $s = IO::Socket::INET->new(LocalAddr => $p == 3000 ? '127.0.0.1' : '0.0.0.0',
LocalPort => $p, Listen => 9, ReuseAddr => 1) or die;
while (my $c = $s->accept) { my $l = <$c>; while (<$c>) { last if /^\\r?$/ } print $c "HTTP/1.0 " . $f->($l) . "\\n"; close $c } }
if (fork == 0) { sleep 1; serve(3000, sub { "200 OK\\r\\n\\r\\ninner" }) }
serve(8080, sub { return "200 OK\\r\\n\\r\\nOK" if $_[0] =~ m{/_/health};
my $u = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => 3000) or return "500 Refused\\r\\n\\r\\nrefused";
print $u "GET / HTTP/1.0\\r\\n\\r\\n"; my @a = <$u>; return "200 OK\\r\\n\\r\\n$a[-1]" });`;

/** Images that keep to the contract of images made for OpenFaaS, run as their own tools have them deployed. */
describeWithDocker('function images made for OpenFaaS', (socketPath) => {
  const docker = new Dockerode({ socketPath });
  const id = newShortId(4);
  /** With a user of its own, to whom a file belongs. */
  const image = `ebb-test/contract-own:${id}`;
  const rootImage = `ebb-test/contract-root:${id}`;
  const plainImage = `ebb-test/contract-plain:${id}`;
  const outerImage = `ebb-test/contract-outer:${id}`;
  let server: TestServer;
  let client: OpenFaasClient;

  beforeAll(async () => {
    await buildContractImage(docker, {
      tag: image,
      lines: ['COPY --chown=games server.pl /data/file', 'USER games'],
    });
    await buildContractImage(docker, { tag: rootImage });
    const command = JSON.stringify(['perl', '-e', PLAIN]);
    await buildContractImage(docker, { tag: plainImage, lines: [`CMD ${command}`] });
    const outer = ['ENV mode=http upstream_url=http://127.0.0.1:3000', `CMD ${JSON.stringify(['perl', '-e', OUTER])}`];
    await buildContractImage(docker, { tag: outerImage, lines: outer });
    server = await startTestServer({ engine: 'docker', env: { EBB_POOL_SIZE: '0' } });
    client = createOpenFaasClient(server);
  }, 600_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    for (const tag of [image, rootImage, plainImage, outerImage]) await docker.getImage(tag).remove({ force: true });
  });

  const invoke = (name: string, body = '') => call(server.functionUrl(name), { method: 'POST', body });
  const lines = ({ text }: { readonly text: string }) => text.trim().split('\n');
  /** The container of a function. */
  const inspect = async (name: string) => {
    const filters = { label: [`ebb.function=${name}`, `ebb.installation=${server.file.installation}`] };
    const [found] = await docker.listContainers({ all: true, filters });
    if (!found) throw new Error(`there is no container of ${name}`);
    return docker.getContainer(found.Id).inspect();
  };

  test('run the process that the deployment names, with its variables, headers, name and namespace', async () => {
    await client.deploy({ service: 'env', image, envProcess: 'env', envVars: { A: 'b', PORT: '3000' } });
    const answer = await call(server.functionUrl('env', '/x?y=1'), { body: 'z', headers: { 'X-Test': 't' } });
    expect(answer.status).toBe(200);
    expect(lines(answer)).toEqual(
      expect.arrayContaining([
        'fprocess=env',
        'A=b',
        'PORT=3000',
        'OPENFAAS_NAME=env',
        'OPENFAAS_NAMESPACE=openfaas-fn',
        'Http_X_Test=t',
        'Http_Path=/x',
        'Http_Query=y=1',
        `Http_X_Call_Id=${String(answer.headers['x-call-id'])}`,
        `Http_X_Start_Time=${String(answer.headers['x-start-time'])}`,
      ]),
    );
    expect(await client.show('env')).toMatchObject({ envProcess: 'env', envVars: { A: 'b', PORT: '3000' } });
  });

  test.each([
    ['its own user', () => image, '5'],
    ['root', () => rootImage, expect.stringMatching(/^2000\d\d$/) as string],
  ])('of %s run as nobody’s root, and read secrets to the byte', async (_whose, imageOf, uid) => {
    const value = Buffer.from('a\0b\n\n').toString('base64');
    const secret = { name: `bytes-${newShortId(2)}`, rawValue: value };
    expect((await client.send('POST', '/system/secrets', secret)).status).toBeLessThan(300);
    const path = `/var/openfaas/secrets/${secret.name}`;
    const [reader, asker] = [`reads-${secret.name}`, `asks-${secret.name}`];
    await client.deploy({ service: reader, image: imageOf(), envProcess: `cat ${path}`, secrets: [secret.name] });
    expect((await invoke(reader)).text).toBe('a\0b\n\n');
    await client.deploy({ service: asker, image: imageOf(), envProcess: 'id -u' });
    expect((await invoke(asker)).text.trim()).toEqual(uid);
  });

  test('write where their user may, unless a read-only root is asked for; /tmp is always theirs', async () => {
    await client.deploy({ service: 'writes', image, envProcess: 'touch /data/file' });
    expect((await invoke('writes')).status).toBe(200);
    const isReadOnly = { readOnlyRootFilesystem: true };
    await client.deploy({ service: 'locked', image, envProcess: 'touch /data/file', ...isReadOnly });
    expect((await invoke('locked')).status).toBe(500);
    await client.deploy({ service: 'scratch', image, envProcess: 'touch /tmp/file', ...isReadOnly });
    expect((await invoke('scratch')).status).toBe(200);
  });

  test('with a limit below what the engine takes get the least it takes; constraints place nothing and are said', async () => {
    const said = { limits: { memory: '5Mi', cpu: '100m' }, constraints: ['node.labels.disk == ssd'] };
    const answer = await client.send('POST', '/system/functions', { service: 'small', image: plainImage, ...said });
    expect(answer.status).toBe(202);
    expect(await client.show('small')).toMatchObject(said);
    await vi.waitFor(
      async () => expect((await inspect('small')).HostConfig).toMatchObject({ Memory: 6 * 2 ** 20, NanoCpus: 1e8 }),
      { timeout: 20_000, interval: 20 },
    );
    expect(server.output()).toContain('"constraints\\" are kept but place nothing');
  });

  test('without a health path are ready when their port is open', async () => {
    await client.deploy({ service: 'plain', image: plainImage });
    expect(await invoke('plain')).toMatchObject({ status: 200, text: expect.stringMatching(/^2000\d\d$/) as string });
  });

  test('whose server passes calls on are ready when the one behind it is', async () => {
    await client.deploy({ service: 'outer', image: outerImage });
    expect(await invoke('outer')).toMatchObject({ status: 200, text: expect.stringContaining('inner') as string });
  });

  test('that remove their lock file, and so say that they take no calls, are replaced', async () => {
    const annotations = {
      'com.openfaas.health.http.path': '/_/health',
      'com.openfaas.health.http.periodSeconds': '1',
      'com.openfaas.health.http.failureThreshold': '1',
    };
    await client.deploy({ service: 'lock', image, envProcess: 'rm /tmp/.lock', annotations });
    const before = (await inspect('lock')).Id;
    expect((await invoke('lock')).status).toBe(200);
    await vi.waitFor(async () => expect((await inspect('lock')).Id).not.toBe(before), { timeout: 20_000 });
    await vi.waitFor(async () => expect((await invoke('lock')).status).toBe(200), { timeout: 20_000 });
  });

  test('finish what they hold when they are replaced, and answer with a new secret within 6 seconds', async () => {
    expect((await client.send('POST', '/system/secrets', { name: 'key', value: 'old' })).status).toBeLessThan(300);
    const slow = { service: 'slow', image, envProcess: 'sleep 2', secrets: ['key'] };
    await client.deploy(slow);
    const running = invoke('slow');
    const path = '/var/openfaas/secrets/key';
    expect((await client.send('PUT', '/system/secrets', { name: 'key', value: 'new' })).status).toBeLessThan(300);
    const changedAt = performance.now();
    const changed = { ...slow, envProcess: `cat ${path}` };
    expect((await client.send('PUT', '/system/functions', changed)).status).toBe(202);
    await vi.waitFor(async () => expect((await invoke('slow')).text).toBe('new'), { timeout: 10_000 });
    expect(performance.now() - changedAt).toBeLessThan(6_000);
    expect((await running).status).toBe(200);
  });
});
