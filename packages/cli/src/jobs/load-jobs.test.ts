import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadJobs } from './load-jobs.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ebb-jobs-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const load = async (text: string) => {
  await writeFile(join(directory, 'jobs.yaml'), text);
  return loadJobs(join(directory, 'jobs.yaml'), { cwd: directory, env: { SIZE: '640' } });
};

describe('a file with jobs', () => {
  test('has one job a document; variables are put in, and functions beside them are left alone', async () => {
    const { jobs, namespace } = await load(`
functions: {}
---
kind: job
name: first
namespace: team
image: a
env: { SIZE: "\${SIZE}", LEVEL: 1.10 }
tasks: 3
---
kind: job
name: second
function: resize
inputs: [a, b]
after: [first]
`);
    expect(namespace).toBe('team');
    expect(jobs).toEqual([
      { name: 'first', spec: { image: 'a', env: { SIZE: '640', LEVEL: '1.10' }, tasks: 3 } },
      { name: 'second', spec: { function: 'resize', inputs: ['a', 'b'], after: ['first'] } },
    ]);
  });

  test('is refused with the name of the file and what is wrong', async () => {
    await expect(load('kind: job\nname: a\nimage: b\ntaks: 3\n')).rejects.toThrow(/^jobs.yaml: .*taks/);
    await expect(load('kind: job\nname: a\n')).rejects.toThrow('image');
    await expect(load('functions: {}\n')).rejects.toThrow('kind: job');
    await expect(load('services:\n  a: { image: b, privileged: true }\n')).rejects.toThrow('privileged');
  });
});
