import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { runProgram } from '../harness/run-program.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';
import { extractTour, findMissingLine } from '../harness/tour.ts';

/** Address that the tour names; the test's server has another. */
const ADDRESS = 'http://127.0.0.1:8080';
/** A log takes a moment to show what was just written. */
const TRIES = 10;

const TOUR = extractTour(await readFile(path.join(ROOT, 'README.md'), 'utf8'));

test('a tour is its marked blocks, each with what it is said to print', () => {
  const page =
    '```sh\nno\n```\n```sh tour\none\n```\n\n```text\n1 ... 3\n```\nand\n```sh tour\ntwo\n```\nsays\n```text\nx\n```\n';
  expect(extractTour(page)).toEqual([
    { line: 4, script: 'one', expected: ['1 ... 3'] },
    { line: 12, script: 'two', expected: [] },
  ]);
  expect(findMissingLine('0\n1 (2)   3\n', ['1 ... 3'])).toBeUndefined();
  expect(findMissingLine('b\na\n', ['a', 'b'])).toBe('b');
});

describeOnEngines('the tour of the README', (engine) => {
  let server: TestServer;
  /** Looks like the root of a clone, so that the tour leaves nothing in ours. */
  let clone: string;

  beforeAll(async () => {
    clone = await mkdtemp(path.join(tmpdir(), 'ebb-tour-'));
    for (const name of ['examples', 'node_modules', 'package.json']) {
      await symlink(path.join(ROOT, name), path.join(clone, name));
    }
    server = await startTestServer({ engine, args: ['--samples'] });
    while (!server.output().includes('sample thumbnail is ready')) {
      if (server.output().includes('could not be deployed')) throw new Error(server.output());
      await sleep(50);
    }
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(clone, { recursive: true, force: true });
  });

  test('has steps', () => expect(TOUR.length).toBeGreaterThan(5));

  test.each(TOUR.map((step) => [step.line, step] as const))('works as written: line %i', async (_line, step) => {
    const script = step.script.replaceAll(ADDRESS, server.url);
    let missing: string | undefined;
    for (let tried = 0; tried < TRIES; tried += 1) {
      const { code, stdout, stderr } = await runProgram('bash', ['-euo', 'pipefail', '-c', script], {
        cwd: clone,
        env: { ...process.env, EBB_DATA_DIR: path.join(server.dataDir, 'data'), NO_COLOR: '1' },
      });
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) as string });
      missing = findMissingLine(stdout.toString(), step.expected);
      // Only a step that changes nothing may be done again.
      if (missing === undefined || !step.script.startsWith('npx ebb logs')) break;
      await sleep(300);
    }
    expect(missing, 'a line that the README promises').toBeUndefined();
  });

  test('leaves nothing behind but the samples', async () => {
    expect((await server.client.functions.list(DEFAULT_NAMESPACE)).map(({ name }) => name)).toEqual([
      'hello',
      'thumbnail',
    ]);
    expect(await server.client.secrets.list(DEFAULT_NAMESPACE)).toEqual([]);
  });
});
