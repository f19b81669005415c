import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openInstallation, removeRunDir, writeServerFile } from './installation.ts';

function inTemporary(use: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'ebb-'));
  try {
    use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('an installation', () => {
  test('keeps its id over starts, and knows the first one', () => {
    inTemporary((directory) => {
      const first = openInstallation(join(directory, 'a/b'));
      const second = openInstallation(join(directory, 'a/b'));
      expect([first.firstStart, second.firstStart, second.id]).toEqual([true, false, first.id]);
      removeRunDir(first.runDir);
      expect(existsSync(first.runDir)).toBe(false);
    });
  });

  test.runIf(process.platform === 'linux')('is refused at once where no directory can be made', () => {
    expect(() => openInstallation('/proc/ebb/data')).toThrow(/the data directory \/proc\/ebb\/data cannot be used/);
  });

  test('does not lose the run directory of an instance that would not end', () => {
    inTemporary((directory) => {
      mkdirSync(join(directory, 'i/stubborn'), { recursive: true });
      removeRunDir(directory);
      expect(existsSync(join(directory, 'i/stubborn'))).toBe(true);
    });
  });

  test('removes only its own server file', () => {
    inTemporary((directory) => {
      const content = { url: 'http://x', pid: 1, installation: 'i', startedAt: 'now' };
      const older = writeServerFile(directory, { ...content, token: 'older' });
      const newer = writeServerFile(directory, { ...content, token: 'newer' });
      older[Symbol.dispose]();
      expect(existsSync(join(directory, 'server.json'))).toBe(true);
      newer[Symbol.dispose]();
      expect(existsSync(join(directory, 'server.json'))).toBe(false);
    });
  });
});
