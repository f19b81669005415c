import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseManifest } from '../manifest/parse-manifest.ts';
import { copyTemplate, renameFunction } from './copy-template.ts';

describe('copyTemplate', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ebb-template-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  test('copies files, calls function and package by the new name, and leaves node_modules behind', async () => {
    const template = join(root, 'node');
    await mkdir(join(template, 'node_modules', 'x'), { recursive: true });
    await mkdir(join(template, 'lib'));
    await writeFile(join(template, 'node_modules', 'x', 'a.js'), '');
    await writeFile(join(template, 'lib', 'b.js'), 'b');
    await writeFile(join(template, 'package.json'), '{"name": "node", "type": "module"}');
    await writeFile(join(template, 'ebb.yaml'), '# mine\nfunctions:\n  node: # this\n    runtime: node\n');
    const target = join(root, 'made', 'fresh');
    expect(await copyTemplate(template, target, 'fresh')).toEqual(['ebb.yaml', 'lib/b.js', 'package.json']);
    const manifest = await readFile(join(target, 'ebb.yaml'), 'utf8');
    expect(manifest).toContain('# mine');
    expect(parseManifest(manifest, { file: 'ebb.yaml', env: {} }).functions[0]?.name).toBe('fresh');
    expect(JSON.parse(await readFile(join(target, 'package.json'), 'utf8'))).toEqual({ name: 'fresh', type: 'module' });
  });

  test('a manifest without functions stays as it is', () => {
    expect(renameFunction('a: 1\n', 'x')).toBe('a: 1\n');
  });
});
