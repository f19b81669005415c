import { readdirSync, readFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { flushCompileCache, getCompileCacheDir } from 'node:module';
import { basename, dirname, join } from 'node:path';

/** More than this is not sent: the host keeps it in memory or on disk for every version. */
const MAX_BYTES = 8 * 2 ** 20;

/**
 * Ends a response with the code this process has compiled so far, for later instances of the version: a line with the
 * cache's name, then for each file a line `NAME BYTES` and its bytes. Then the cache of this process is removed. Called
 * before the first call is answered, so that no caller can have a hand in what later instances run.
 */
export function sendCompiled(response: ServerResponse): void {
  const directory = getCompileCacheDir();
  try {
    flushCompileCache();
    if (directory !== undefined) writeFiles(directory, response);
  } catch {
    // Later instances start a little slower, nothing more.
  }
  response.end();
  if (directory !== undefined) rmSync(dirname(directory), { recursive: true, force: true });
}

function writeFiles(directory: string, response: ServerResponse): void {
  const files = readdirSync(directory).map((name) => ({ name, data: readFileSync(join(directory, name)) }));
  if (files.reduce((sum, { data }) => sum + data.length, 0) > MAX_BYTES) return;
  response.write(`${basename(directory)}\n`);
  for (const { name, data } of files) {
    response.write(`${name} ${data.length}\n`);
    response.write(data);
  }
}
