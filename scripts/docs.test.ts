import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../packages/contract/src/errors.ts';
import { SETTINGS } from '../packages/server/src/config/config-schema.ts';
import { flagName, variableName } from '../packages/server/src/config/setting.ts';
import { findStalePages } from './docs.ts';

/** The first columns of a page's table, without the code quotes. */
async function firstColumns(path: string, columns: number): Promise<string[][]> {
  const text = await readFile(new URL(`../${path}`, import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => row.split(' | ', columns).map((cell) => cell.replace(/^\| /, '').replaceAll('`', '')));
}

describe('generated pages', () => {
  test('are what `npm run docs` would write', async () => {
    expect(await findStalePages()).toEqual([]);
  });

  test('docs/config.md lists exactly the settings there are, with their flag and variable', async () => {
    const names = Object.values(SETTINGS).map((setting) => setting.name);
    expect(await firstColumns('docs/config.md', 3)).toEqual(
      names.map((name) => [name, flagName(name), variableName(name)]),
    );
  });

  test('docs/errors.md lists exactly the codes there are, with their status', async () => {
    expect(await firstColumns('docs/errors.md', 2)).toEqual(
      Object.entries(ERRORS).map(([code, error]) => [code, String(error.status)]),
    );
  });
});
