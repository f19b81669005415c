import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { isMap, isScalar, parseDocument } from 'yaml';

/** Names of the templates in a directory. */
export async function listTemplates(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** Copies a template to a new directory and calls the function in it by its new name. Returns the files, by path. */
export async function copyTemplate(template: string, directory: string, name: string): Promise<readonly string[]> {
  await mkdir(directory, { recursive: true });
  await cp(template, directory, {
    recursive: true,
    filter: (source) => source === template || !['node_modules', '.ebb'].includes(basename(source)),
  });
  await rewrite(join(directory, 'ebb.yaml'), (text) => renameFunction(text, name));
  await rewrite(join(directory, 'package.json'), (text) => renamePackage(text, name));
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
}

/** Gives the first function of an `ebb.yaml` another name; comments and order stay. */
export function renameFunction(source: string, name: string): string {
  const document = parseDocument(source);
  const functions = document.get('functions');
  const first = isMap(functions) ? functions.items[0] : undefined;
  if (!first || !isScalar(first.key)) return source;
  first.key.value = name;
  return document.toString();
}

function renamePackage(source: string, name: string): string {
  const manifest = JSON.parse(source) as Record<string, unknown>;
  return `${JSON.stringify({ ...manifest, name }, undefined, 2)}\n`;
}

async function rewrite(path: string, change: (text: string) => string): Promise<void> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw error;
  }
  await writeFile(path, change(text));
}
