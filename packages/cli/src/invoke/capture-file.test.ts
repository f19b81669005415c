import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Capture, readCapture, writeCapture } from './capture-file.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-capture-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const CAPTURE: Capture = {
  kind: 'ebb-capture',
  version: 1,
  capturedAt: '2026-05-01T10:00:00.000Z',
  call: {
    id: 'a-call',
    namespace: 'team',
    target: 'resize',
    state: 'dead',
    method: 'POST',
    path: '/x',
    priority: 4,
    acceptedAt: '2026-05-01T09:00:00.000Z',
    expiresAt: '2026-05-01T15:00:00.000Z',
    attempts: [],
  },
  request: { method: 'POST', path: '/x', headers: [['A', 'b']], leftOut: ['Authorization'], bodyBase64: 'AP8=' },
};

describe('a captured call', () => {
  test('comes back as it was written, from a file that only its owner can read', async () => {
    const path = join(folder, 'one.json');
    await writeCapture(path, CAPTURE);
    expect(await readCapture(path)).toEqual(CAPTURE);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test.each(['', '{}', '{"kind":"ebb-capture","version":2}', 'no JSON'])('is not taken from %j', async (text) => {
    const path = join(folder, 'other.json');
    await writeFile(path, text);
    await expect(readCapture(path)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(readCapture(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'FILE_FAILED' });
  });
});
