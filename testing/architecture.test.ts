import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ARROWS } from './architecture/arrows.ts';
import { findViolations } from './architecture/find-violations.ts';
import { readModule } from './architecture/read-module.ts';

const ROOT = path.join(import.meta.dirname, '..');

/** The breaches of a house that consists of these files alone. */
function violationsOf(files: Readonly<Record<string, string>>): readonly string[] {
  return findViolations(Object.entries(files).map(([file, text]) => readModule(file, text)));
}

describe('the house', () => {
  test('keeps its rules', () => {
    const files = globSync(['packages/*/src/**/*.ts', 'runtimes/*/src/**/*.ts'], { cwd: ROOT });
    const modules = files.map((file) => readModule(file, readFileSync(path.join(ROOT, file), 'utf8')));
    expect(modules.length).toBeGreaterThan(50);
    expect(findViolations(modules)).toEqual([]);
  });

  test('has a plan without circles', () => {
    const reach = (room: string, trail: readonly string[]): void => {
      expect(trail).not.toContain(room);
      for (const next of ARROWS[room] ?? []) reach(next, [...trail, room]);
    };
    for (const room of Object.keys(ARROWS)) reach(room, []);
  });
});

describe('a breach is found:', () => {
  const server = 'packages/server/src';

  test.each([
    [
      'an arrow against the plan',
      `${server}/pool/a.ts`,
      `import { x } from '../gateway/b.ts';`,
      'pool must not import gateway',
    ],
    [
      'a type against the plan',
      `${server}/pool/a.ts`,
      `import type { X } from '../api/b.ts';`,
      'pool must not import api',
    ],
    [
      'a package against the plan',
      'packages/sdk/src/a.ts',
      `import { x } from '@ebb/server';`,
      'sdk must not import server',
    ],
    ['a room nobody planned', `${server}/attic/a.ts`, `import { x } from '../core/b.ts';`, '"attic" is not in'],
    [
      'the platform loaded by the CLI at start',
      'packages/cli/src/a.ts',
      `import { x } from '@ebb/server';`,
      'only by a dynamic import',
    ],
    [
      'a driver imported by its own room',
      `${server}/engines/a.ts`,
      `import { x } from './docker/b.ts';`,
      'may import the driver engines/docker',
    ],
    [
      'a driver imported by another',
      `${server}/engines/docker/a.ts`,
      `import { x } from '../process/b.ts';`,
      'the driver engines/process',
    ],
    [
      'a driver wired statically',
      `${server}/server/wire/a.ts`,
      `import { x } from '../../store/sqlite/b.ts';`,
      'by a dynamic import',
    ],
    ['Node in the contract', 'packages/contract/src/a.ts', `import { x } from 'node:fs';`, 'runs in browsers too'],
    ['I/O in a pure file', `${server}/pool/decide-a.ts`, `import { x } from 'node:fs';`, 'a pure file cannot import'],
    ['a value in a pure file', `${server}/pool/decide-a.ts`, `import { x } from './b.ts';`, 'only types'],
    ['the clock in a pure file', `${server}/pool/fold-a.ts`, `const f = () => Date.now();`, '"Date.now" is not pure'],
    ['now in a pure file', `${server}/pool/fold-a.ts`, `const f = () => new Date();`, 'is not pure'],
    ['a setting read elsewhere', `${server}/pool/a.ts`, `const home = process.env['HOME'];`, 'reads the environment'],
    ['a default export', `${server}/pool/a.ts`, `export default 1;`, 'is a default export'],
    ['mutable state of a module', `${server}/pool/a.ts`, `let count = 0;`, '"let count" is mutable state'],
    [
      'an export without a comment',
      `${server}/pool/a.ts`,
      `export function f() {}`,
      '"function f" is exported without',
    ],
    [
      'a line comment in place of a doc comment',
      `${server}/pool/a.ts`,
      `// x\nexport const f = 1;`,
      'without a doc comment',
    ],
  ])('%s', (_title, file, text, message) => {
    const line = text.split('\n').length;
    expect(violationsOf({ [file]: text })).toEqual([expect.stringContaining(message)]);
    expect(violationsOf({ [file]: text })[0]).toMatch(new RegExp(`^${file}:${line}: `));
  });

  test('a circle of files', () => {
    const found = violationsOf({
      [`${server}/pool/a.ts`]: `import { b } from './b.ts';`,
      [`${server}/pool/b.ts`]: `export { a } from './a.ts';`,
    });
    expect(found).toEqual([`${server}/pool/a.ts:1: imports itself through ${server}/pool/b.ts -> ${server}/pool/a.ts`]);
  });

  test('but not where all is well', () => {
    const found = violationsOf({
      [`${server}/pool/decide-a.ts`]: `import type { B } from './b.ts';\nimport { ERRORS } from '@ebb/contract';`,
      [`${server}/pool/b.ts`]: `import { decide } from './decide-a.ts';\n/** Doc. */\nexport interface B {}`,
      [`${server}/server/wire/c.ts`]: `const load = () => import('../../engines/docker/d.ts');`,
      [`${server}/engines/docker/d.ts`]: `import { e } from './e.ts';\nimport type { F } from '../engine.ts';`,
      [`${server}/pool/b.test.ts`]: `import { x } from '../api/y.ts';\nlet count = 0;`,
      'packages/cli/src/a.ts': `const load = () => import('@ebb/server');`,
    });
    expect(found).toEqual([]);
  });
});
