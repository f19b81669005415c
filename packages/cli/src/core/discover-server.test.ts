import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkUrl, discoverServer } from './discover-server.ts';
import { configFilePath, writeSavedLogin } from './saved-login.ts';

describe('discoverServer', () => {
  let root = '';
  let cwd = '';
  let env: Record<string, string> = {};

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ebb-discovery-'));
    cwd = join(root, 'project', 'deep');
    await mkdir(cwd, { recursive: true });
    env = { XDG_CONFIG_HOME: join(root, 'config') };
  });
  afterEach(() => rm(root, { recursive: true }));

  const leaveServerFile = async (dataDir: string, url: string, token = 'local') => {
    await mkdir(dataDir, { recursive: true });
    await writeFile(join(dataDir, 'server.json'), JSON.stringify({ url, token, pid: 1 }), { mode: 0o600 });
  };

  test('prefers a flag, then the variable, then a running server, then the login', async () => {
    await writeSavedLogin(env, { url: 'http://saved:1', token: 'saved-token' });
    expect(await discoverServer({ env, cwd })).toMatchObject({ url: 'http://saved:1', token: 'saved-token' });
    await leaveServerFile(join(root, 'project', '.ebb'), 'http://127.0.0.1:2');
    expect(await discoverServer({ env, cwd })).toMatchObject({ url: 'http://127.0.0.1:2', token: 'local' });
    const withUrl = { ...env, EBB_URL: 'http://variable:3', EBB_TOKEN: 'variable-token' };
    expect(await discoverServer({ env: withUrl, cwd })).toMatchObject({
      url: 'http://variable:3',
      token: 'variable-token',
    });
    expect(await discoverServer({ env: withUrl, cwd, url: 'flag:4', token: 't' })).toMatchObject({
      url: 'http://flag:4',
      token: 't',
    });
  });

  test('the data directory that was named is the only one looked at', async () => {
    await leaveServerFile(join(cwd, '.ebb'), 'http://127.0.0.1:2');
    await leaveServerFile(join(root, 'other'), 'http://127.0.0.1:5');
    expect(await discoverServer({ env, cwd, dataDir: join(root, 'other') })).toMatchObject({
      url: 'http://127.0.0.1:5',
    });
    expect(await discoverServer({ env: { ...env, EBB_DATA_DIR: '../../other' }, cwd })).toMatchObject({
      url: 'http://127.0.0.1:5',
    });
    await expect(discoverServer({ env, cwd, dataDir: join(root, 'none') })).rejects.toMatchObject({
      code: 'NO_SERVER',
    });
  });

  test('T2: a token kept for one server is never sent to another', async () => {
    await leaveServerFile(join(cwd, '.ebb'), 'http://127.0.0.1:2');
    await writeSavedLogin(env, { url: 'http://saved:1', token: 'saved-token' });
    expect((await discoverServer({ env, cwd, url: 'http://elsewhere:9' })).token).toBeUndefined();
    expect((await discoverServer({ env, cwd, url: 'http://saved:1/' })).token).toBe('saved-token');
    expect((await discoverServer({ env, cwd, url: 'http://127.0.0.1:2' })).token).toBe('local');
  });

  test('says what to do when there is no server', async () => {
    await expect(discoverServer({ env, cwd })).rejects.toThrow('start one with "ebb up"');
  });

  test('says so when a server file is damaged', async () => {
    await mkdir(join(cwd, '.ebb'));
    await writeFile(join(cwd, '.ebb', 'server.json'), '{"ur');
    await expect(discoverServer({ env, cwd })).rejects.toThrow('is damaged');
  });

  test('T2: a saved login can be read by its owner only, even over an open file', async () => {
    const path = await writeSavedLogin(env, { url: 'http://a', token: 'b' });
    await chmod(path, 0o644);
    await writeSavedLogin(env, { url: 'http://a', token: 'c' });
    expect(path).toBe(configFilePath(env));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test.each(['', 'ftp://x', 'http://', 'http://a b', '::'])('refuses %j as an address', (text) => {
    expect(() => checkUrl(text, '--url')).toThrow('must be an address such as');
  });
});
