import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MountShell } from './mount-shell.ts';
import { createMountTable } from './mount-table.ts';

describe('what is mounted for instances', () => {
  let runDir: string;
  let asked: string[];
  let isBroken: boolean;
  beforeEach(async () => {
    runDir = await mkdtemp(join(tmpdir(), 'ebb-mounts-'));
    asked = [];
    isBroken = false;
  });
  afterEach(() => rm(runDir, { recursive: true }));

  const shell = (): MountShell => {
    const note = (verb: string) => async (source: string, target?: string) => {
      if (isBroken) throw new Error('mount: no');
      asked.push([verb, source, target].filter(Boolean).join(' ').replaceAll(runDir, '.'));
    };
    return {
      share: note('share'),
      stage: note('stage'),
      bind: note('bind'),
      unmount: note('unmount'),
      [Symbol.dispose]() {},
    };
  };

  test('a directory is staged once, and instances get copies of the staged one', async () => {
    const table = createMountTable({ runDir, shell: shell() });
    await Promise.all([table.attach('/code/a', '/i/1'), table.attach('/code/a', '/i/2')]);
    expect(asked[0]).toMatch(/^stage \/code\/a \.\/staged\/[\da-f]{32}$/);
    const staged = asked[0]?.split(' ')[2];
    expect(asked.slice(1)).toEqual([`bind ${staged} /i/1`, `bind ${staged} /i/2`]);
  });

  test('no more than 64 are staged, and the one used longest ago goes first', async () => {
    const table = createMountTable({ runDir, shell: shell() });
    for (let number = 0; number < 65; number += 1) {
      await table.attach(`/code/${number}`, '/i/x');
      await table.attach('/code/0', '/i/x');
    }
    const unmounted = asked.filter((line) => line.startsWith('unmount'));
    const second = asked.find((line) => line.startsWith('stage /code/1 '))?.split(' ')[2];
    expect(unmounted).toEqual([`unmount ${second}`]);
  });

  test('code that was removed and stored anew is staged anew', async () => {
    const made = shell();
    let isGone = false;
    const table = createMountTable({
      runDir,
      shell: {
        ...made,
        stage: async (source, target) => {
          isGone = false;
          await made.stage(source, target);
        },
        bind: async (source, target) => {
          if (isGone) throw new Error('mount: No such file or directory');
          await made.bind(source, target);
        },
      },
    });
    await table.attach('/code/a', '/i/1');
    isGone = true;
    await table.attach('/code/a', '/i/2');
    expect(asked.map((line) => line.split(' ')[0])).toEqual(['stage', 'bind', 'unmount', 'stage', 'bind']);
  });

  test('a mount that fails is a typed error, and is tried anew the next time', async () => {
    const table = createMountTable({ runDir, shell: shell() });
    isBroken = true;
    await expect(table.attach('/code/a', '/i/1')).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    isBroken = false;
    await table.attach('/code/a', '/i/1');
    expect(asked).toHaveLength(2);
  });

  test('a daemon that does not see the mounts is remembered as the reason', async () => {
    const table = createMountTable({ runDir, shell: shell() });
    table.deny('it cannot');
    expect([await table.open(), await table.foresee()]).toEqual(['it cannot', 'it cannot']);
  });

  test('closing removes empty directories only', async () => {
    const table = createMountTable({ runDir, shell: shell() });
    await table.attach('/code/a', '/i/1');
    await table.close();
    expect(await readdir(runDir)).toEqual([]);
  });
});
