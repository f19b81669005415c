import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { useNodeRuntime } from '../../../../testing/harness/node-runtime.ts';

describe('the templates', { timeout: 30_000 }, () => {
  const { startReady, send } = useNodeRuntime();
  const template = async (name: string) => {
    const directory = join(import.meta.dirname, '../../../../templates', name);
    const names = await readdir(directory);
    const files = names.map(async (file) => [file, await readFile(join(directory, file), 'utf8')] as const);
    return Object.fromEntries(await Promise.all(files));
  };

  test.each(['node', 'node-event', 'node-http'])('%s greets', async (name) => {
    const { target } = await startReady(await template(name));
    const answer = await send(target, '/?name=Ada', { headers: { 'x-call-id': 'c-1' } });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(answer.body)).toMatchObject({ message: 'Hello, Ada!' });
  });
});
