import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { decode, difference } from '../harness/photo.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

const DIRECTORY = path.join(ROOT, 'examples/thumbnail');

describeOnEngines('the thumbnail example', (engine) => {
  let server: TestServer;
  let photo: Buffer;

  beforeAll(async () => {
    photo = await readFile(path.join(DIRECTORY, 'photo.jpg'));
    server = await startTestServer({ engine });
    await server.ebbOk(['deploy', DIRECTORY]);
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  const shrink = async (rest: string, body: Uint8Array<ArrayBuffer> | string): Promise<Response> =>
    fetch(server.functionUrl('thumbnail', rest), { method: 'POST', body });

  test('`ebb invoke thumbnail < photo.jpg` writes a WebP that shows the photo', async () => {
    const { code, stdout } = await server.ebb(['invoke', 'thumbnail'], { input: photo });
    expect(code).toBe(0);
    expect(await decode(stdout).metadata()).toMatchObject({ format: 'webp', width: 320, height: 214 });
    expect(await difference(stdout, photo)).toBeLessThan(5);
  });

  test.each([
    ['/200x200.png?fit=fill', 'png', 200, 200],
    ['/160x.jpg', 'jpeg', 160, 107],
    ['/x100.webp?quality=60', 'webp', 150, 100],
    ['?width=120&format=avif', 'heif', 120, 80],
    ['/5x5.png?width=128&height=128&fit=inside', 'png', 128, 85],
  ])('%s gives what it asks for', async (rest, format, width, height) => {
    const response = await shrink(rest, new Uint8Array(photo));
    expect(response.status).toBe(200);
    const picture = Buffer.from(await response.arrayBuffer());
    expect(await decode(picture).metadata()).toMatchObject({ format, width, height });
    expect(await difference(picture, photo)).toBeLessThan(8);
  });

  test.each([
    ['what is no image', '', 'hello', 415, 'not an image'],
    ['an image that ends early', '', 'cut', 415, 'not an image'],
    ['an empty body', '', '', 400, 'empty'],
    ['a size out of range', '?width=9999', 'hello', 400, 'from 1 to 4096'],
    ['an unknown format', '/10x10.bmp', 'hello', 400, 'webp, avif, jpeg, png'],
    ['an unknown option', '?colour=red', 'hello', 400, '"colour" is no option'],
    ['another path', '/etc/passwd', 'hello', 400, '"/etc/passwd"'],
  ])('refuses %s in one sentence', async (_title, rest, body, status, sentence) => {
    const response = await shrink(rest, body === 'cut' ? new Uint8Array(photo.subarray(0, 5000)) : body);
    expect({ status: response.status, body: await response.text() }).toEqual({
      status,
      body: expect.stringContaining(sentence.replaceAll('"', '\\"')),
    });
  });

  test('refuses a body over the limit before it has read all of it', async () => {
    const response = await shrink('', new Uint8Array(26 * 2 ** 20));
    expect(response.status).toBe(413);
  });
});
