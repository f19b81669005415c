import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findCgroupFreezer, foreseeCgroupFreezer } from './cgroup-freezer.ts';

const ID = 'c0ffee'.padEnd(64, '0');
const PID = 4711;

/** Plain files where the kernel's would be: what is read and written there, without freezing anything. */
describe('the control group of a container', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp('/tmp/ebb-cg-');
  });
  afterEach(() => rm(root, { recursive: true }));

  async function host(options: { readonly cgroup: string; readonly mount: string; readonly group: string }) {
    const files = join(root, 'fs');
    await mkdir(join(root, String(PID)), { recursive: true });
    await mkdir(join(root, 'self'));
    await writeFile(join(root, String(PID), 'cgroup'), options.cgroup);
    await writeFile(join(root, 'self', 'mountinfo'), options.mount.replaceAll('FILES', files));
    const directory = join(files, options.group);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'freezer.state'), 'THAWED\n');
    await writeFile(join(directory, 'cgroup.freeze'), '0\n');
    await writeFile(join(directory, 'cgroup.events'), 'populated 1\nfrozen 1\n');
    return { directory, freezer: findCgroupFreezer({ id: ID, pid: PID, proc: root }) };
  }
  const V1_MOUNT = '37 31 0:34 / FILES rw,relatime - cgroup cgroup rw,freezer\n';
  const V2_MOUNT = '38 31 0:41 / FILES rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n';

  test('version 1 is asked by freezer.state', async () => {
    const { directory, freezer } = await host({
      cgroup: `8:pids:/elsewhere\n6:freezer:/docker/${ID}\n0::/docker/${ID}\n`,
      mount: `${V2_MOUNT}${V1_MOUNT}`,
      group: `docker/${ID}`,
    });
    const state = () => readFile(join(directory, 'freezer.state'), 'utf8');
    expect(freezer?.isFrozen()).toBe(false);
    await freezer?.freeze();
    expect(await state()).toBe('FROZEN');
    expect(freezer?.isFrozen()).toBe(true);
    freezer?.thaw();
    expect(await state()).toBe('THAWED');
  });

  test('version 2 is asked by cgroup.freeze, under the name that systemd gives', async () => {
    const { directory, freezer } = await host({
      cgroup: `0::/system.slice/docker-${ID}.scope/init\n`,
      mount: V2_MOUNT,
      group: `system.slice/docker-${ID}.scope`,
    });
    const state = () => readFile(join(directory, 'cgroup.freeze'), 'utf8');
    await freezer?.freeze();
    expect([await state(), freezer?.isFrozen()]).toEqual(['1', true]);
    freezer?.thaw();
    expect([await state(), freezer?.isFrozen()]).toEqual(['0', false]);
    expect(foreseeCgroupFreezer(root)).toBe(true);
  });

  test('a hierarchy of which only a part is mounted is found by that part', async () => {
    const { freezer } = await host({
      cgroup: `0::/machine/docker/${ID}\n`,
      mount: V2_MOUNT.replace(' / ', ' /machine '),
      group: `docker/${ID}`,
    });
    expect(freezer).toBeDefined();
  });

  test.each([
    ['names another container', `0::/docker/${'a'.repeat(64)}\n`, V2_MOUNT],
    ['lies outside of what is seen', `0::/../docker/${ID}\n`, V2_MOUNT],
    ['is of a version that is not mounted', `0::/docker/${ID}\n`, V1_MOUNT],
    ['has no freezer', `3:cpuset:/docker/${ID}\n`, V1_MOUNT],
  ])('a group that %s is left to the engine', async (_why, cgroup, mount) => {
    const { freezer } = await host({ cgroup, mount, group: `docker/${ID}` });
    expect(freezer).toBeUndefined();
  });

  test('an unknown process is left to the engine', async () => {
    await host({ cgroup: `0::/docker/${ID}\n`, mount: V2_MOUNT, group: `docker/${ID}` });
    expect(findCgroupFreezer({ id: ID, pid: PID + 1, proc: root })).toBeUndefined();
    expect(findCgroupFreezer({ id: ID, pid: 0, proc: root })).toBeUndefined();
  });

  test('a group that is gone is a typed error, and not frozen', async () => {
    const { directory, freezer } = await host({
      cgroup: `0::/docker/${ID}\n`,
      mount: V2_MOUNT,
      group: `docker/${ID}`,
    });
    await rm(directory, { recursive: true });
    expect(freezer?.isFrozen()).toBe(false);
    expect(() => freezer?.thaw()).toThrow(expect.objectContaining({ code: 'ENGINE_FAILED' }));
    await expect(freezer?.freeze()).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
  });

  test('a group without the file, as in a kernel without the freezer, is left to the engine', async () => {
    const { directory } = await host({ cgroup: `0::/docker/${ID}\n`, mount: V2_MOUNT, group: `docker/${ID}` });
    await rm(join(directory, 'cgroup.freeze'));
    expect(findCgroupFreezer({ id: ID, pid: PID, proc: root })).toBeUndefined();
    expect(foreseeCgroupFreezer(join(root, 'nowhere'))).toBe(false);
  });
});
