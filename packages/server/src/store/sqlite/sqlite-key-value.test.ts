import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { keyValueConformance } from '../../../../../testing/conformance/key-value.ts';
import { createSqliteKeyValue } from './sqlite-key-value.ts';

let folder = '';
let opened = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-store-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

keyValueConformance('sqlite', () => createSqliteKeyValue({ path: join(folder, `${(opened += 1)}`, 'store.db') }));
