import { createServer } from 'node:net';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { decode } from '../harness/photo.ts';
import { runProgram } from '../harness/run-program.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

/** Waits until the server printed a text. */
async function untilPrinted(server: TestServer, text: string): Promise<void> {
  for (let round = 0; !server.output().includes(text); round += 1) {
    if (round > 1200) throw new Error(`the server did not print "${text}" but:\n${server.output()}`);
    await sleep(50);
  }
}

describeOnEngines('a first start with samples', (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startTestServer({ engine, args: ['--samples'] });
    await untilPrinted(server, 'sample thumbnail is ready');
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  test('prints the address, the admin secret and commands to try', () => {
    const printed = server.output();
    expect(printed).toContain(server.url);
    expect(printed).toMatch(/Admin secret: +\S{20,}/);
    expect(printed).toContain(`curl ${server.url}/function/hello`);
    expect(printed).toMatch(/ebb invoke thumbnail < \S*examples\/thumbnail\/photo\.jpg/);
    expect(printed).toContain('ebb list');
  });

  test('serves what it tells to try', async () => {
    const hello = await fetch(`${server.url}/function/hello?name=Ada`);
    expect(await hello.json()).toEqual({ message: 'Hello, Ada!', callId: hello.headers.get('x-call-id') });
    const photo = await readFile(path.join(ROOT, 'examples/thumbnail/photo.jpg'));
    const { stdout } = await server.ebb(['invoke', 'thumbnail'], { input: photo });
    expect(await decode(stdout).metadata()).toMatchObject({ format: 'webp', width: 320 });
    expect(await server.ebbOk(['list'])).toMatch(/hello[^]*thumbnail/);
  });

  test('warns plainly exactly when functions are not isolated', () => {
    expect(/not isolated/i.test(server.output())).toBe(engine === 'process');
  });

  test('a second start finds everything again, and neither shows the secret nor deploys once more', async () => {
    const secret = /Admin secret: +(\S+)/.exec(server.output())?.[1] ?? '';
    expect(await server.stop()).toBe(0);
    await server.start();
    expect(server.output()).not.toContain(secret);
    expect(server.output()).not.toContain('Admin secret');
    expect((await fetch(`${server.url}/function/hello`)).status).toBe(200);
    expect(server.output()).not.toContain('sample hello is ready');
    const answer = await fetch(`${server.url}/v1/version`, { headers: { authorization: `Bearer ${secret}` } });
    expect(answer.status).toBe(200);
  });

  test('a second server on the same data directory is refused, and the first goes on', async () => {
    const again = await server.ebb(['up', '--listen', '127.0.0.1:0']);
    expect(again.code).not.toBe(0);
    expect(again.stderr).toContain('DATA_DIR_IN_USE');
    expect((await fetch(`${server.url}/function/hello`)).status).toBe(200);
  });
});

test('a taken address is refused with one sentence and an exit code', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const directory = path.join('/tmp', `ebb-e2e-taken-${process.pid}`);
  const ebb = path.join(ROOT, 'packages/cli/bin/ebb.mjs');
  const args = [ebb, 'up', '--engine', 'process', '--listen', `127.0.0.1:${port}`, '--data-dir', directory];
  const result = await runProgram(process.execPath, args);
  taken.close();
  await runProgram('rm', ['-rf', directory]);
  expect(result.code).not.toBe(0);
  expect(result.stderr).toContain('LISTEN_FAILED');
});
