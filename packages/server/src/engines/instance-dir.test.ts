import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createInstanceDir, listInstanceDirs, removeInstanceDir } from './instance-dir.ts';

describe('instance directories', () => {
  let runDir: string;
  beforeEach(async () => {
    runDir = await mkdtemp(join(tmpdir(), 'ebb-'));
  });
  afterEach(() => rm(runDir, { recursive: true, force: true }));

  const mode = async (path: string) => ((await lstat(path)).mode & 0o777).toString(8);

  test('only the server may enter, and inside any user may create the socket', async () => {
    const dir = await createInstanceDir({ runDir, id: 'a-1', secrets: {} });
    expect(dir.socketDir).toBe(join(runDir, 'i/a-1/s'));
    expect(await mode(join(runDir, 'i'))).toBe('700');
    expect(await mode(dir.root)).toBe('700');
    expect(await mode(dir.socketDir)).toBe('777');
    expect(await mode(dir.secretsDir)).toBe('755');
  });

  test('secrets are read-only files (T2)', async () => {
    const secrets = { 'api-key': Buffer.from('s3cret'), 'tls.crt': Buffer.from([0, 255]) };
    const dir = await createInstanceDir({ runDir, id: 'a', secrets });
    expect(await readFile(join(dir.secretsDir, 'api-key'), 'utf8')).toBe('s3cret');
    expect([...(await readFile(join(dir.secretsDir, 'tls.crt')))]).toEqual([0, 255]);
    expect(await mode(join(dir.secretsDir, 'api-key'))).toBe('400');
  });

  test.runIf(process.getuid?.() === 0)('secrets belong to the user the instance runs as', async () => {
    const dir = await createInstanceDir({
      runDir,
      id: 'a',
      secrets: { key: Buffer.from('x') },
      ownerUid: 200_001,
    });
    const status = await lstat(join(dir.secretsDir, 'key'));
    expect([status.uid, status.gid, status.mode & 0o777]).toEqual([200_001, 200_001, 0o400]);
  });

  test.each(['../x', 'A', '', '-a', 'a/b', 'a\0', 'x'.repeat(64), '..'])('refuses the id %j', async (id) => {
    await expect(createInstanceDir({ runDir, id, secrets: {} })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
    await expect(removeInstanceDir(runDir, id)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
    expect(await readdir(runDir)).toEqual([]);
  });

  test('refuses a malformed secret name and leaves nothing behind', async () => {
    const secrets = { ok: Buffer.from('1'), '../../x': Buffer.from('2') };
    await expect(createInstanceDir({ runDir, id: 'a', secrets })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
    expect(await listInstanceDirs(runDir)).toEqual([]);
  });

  test('says how short the run directory must be for unix sockets', async () => {
    const long = join(runDir, 'x'.repeat(90));
    const made = createInstanceDir({ runDir: long, id: 'a', secrets: {} });
    // 107 bytes less "/i/a/s/sock.new".
    await expect(made).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('at most 92 bytes'),
    });
  });

  test('refuses to make a directory that exists, and keeps it', async () => {
    const dir = await createInstanceDir({ runDir, id: 'a', secrets: {} });
    await writeFile(join(dir.root, 'state'), 'x');
    await expect(createInstanceDir({ runDir, id: 'a', secrets: {} })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
    });
    expect(await readFile(join(dir.root, 'state'), 'utf8')).toBe('x');
  });

  test('refuses a link in place of the parent directory', async () => {
    const elsewhere = join(runDir, 'elsewhere');
    await mkdir(elsewhere);
    await symlink(elsewhere, join(runDir, 'i'));
    await expect(createInstanceDir({ runDir, id: 'a', secrets: {} })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
    });
    expect(await readdir(elsewhere)).toEqual([]);
  });

  test('removes links without following them, and is fine with nothing there', async () => {
    const dir = await createInstanceDir({ runDir, id: 'a', secrets: {} });
    const outside = join(runDir, 'outside');
    await writeFile(outside, 'keep');
    await symlink(outside, join(dir.socketDir, 'sock'));
    await symlink(runDir, join(dir.socketDir, 'dir'));
    expect(await listInstanceDirs(runDir)).toEqual(['a']);
    await removeInstanceDir(runDir, 'a');
    await removeInstanceDir(runDir, 'a');
    expect(await readFile(outside, 'utf8')).toBe('keep');
    expect(await listInstanceDirs(runDir)).toEqual([]);
  });
});
