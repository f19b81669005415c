import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Results } from './results.ts';

/** Where runs are kept. */
export const RESULTS_DIR = fileURLToPath(new URL('../results/', import.meta.url));
/** The run of some scenarios only; not kept in git. */
export const PARTIAL = 'partial';

/** The newest whole run, or the one in the named file. Throws when there is none. */
export function readResults(path?: string): Results {
  const newest = readdirSync(RESULTS_DIR)
    .filter((name) => /^\d{4}-\d\d-\d\d\.json$/.test(name))
    .sort()
    .at(-1);
  if (path === undefined && newest === undefined) throw new Error(`there is no whole run in ${RESULTS_DIR}`);
  return JSON.parse(readFileSync(path ?? `${RESULTS_DIR}${newest}`, 'utf8')) as Results;
}
