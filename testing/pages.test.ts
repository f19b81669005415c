import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = path.join(import.meta.dirname, '..');
const INVARIANTS = 'docs/design/invariants.md';
/** A title, or a row of titles, that quotes invariants: it begins with the number, or has it in brackets. */
const TITLE = /['"`]([GSEVATJ]\d+\b[^'"`\n]*|[^'"`\n]*\([^()'"`\n]*\b[GSEVATJ]\d+\b[^()'"`\n]*\)[^'"`\n]*)['"`]/g;
const SKIPPED = /(?:^|\/)(?:node_modules|\.ebb|\.cache|dist)(?:\/|$)/;

const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const find = (patterns: readonly string[]): string[] =>
  globSync([...patterns], { cwd: ROOT, exclude: (name) => SKIPPED.test(name) }).toSorted();

/** A page without its code, in which brackets mean nothing. */
function prose(page: string): string {
  return page.replace(/^```[^]*?^```$/gm, '').replace(/`[^`\n]*`/g, 'code');
}

/** The name by which a heading is linked to. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** What is wrong with the links of a page to other files and headings of the repository. */
function brokenLinks(file: string): string[] {
  const links = [...prose(read(file)).matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
  return links.flatMap((link) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [target = '', anchor] = link.split('#');
    const found = target === '' ? file : path.join(path.dirname(file), target);
    if (!existsSync(path.join(ROOT, found))) return [`${file}: ${link}`];
    if (anchor === undefined || !found.endsWith('.md')) return [];
    const headings = [...read(found).matchAll(/^#+ (.*)$/gm)].map((match) => anchorOf(match[1] ?? ''));
    return headings.includes(anchor) ? [] : [`${file}: ${link} names no heading`];
  });
}

describe('pages', () => {
  const pages = find(['*.md', '{docs,examples,packages,runtimes,templates,testing,bench}/**/*.md']);

  test('link only to what is there', () => {
    expect(pages.length).toBeGreaterThan(15);
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  test('under docs are each linked from another page', () => {
    const linked = new Set(
      pages.flatMap((file) =>
        [...prose(read(file)).matchAll(/\]\(([^)\s#]+)/g)].map((match) =>
          path.join(path.dirname(file), match[1] ?? ''),
        ),
      ),
    );
    expect(pages.filter((file) => file.startsWith('docs/') && !linked.has(file))).toEqual([]);
  });
});

describe('invariants', () => {
  /** The number of each section with its text. */
  const sections = new Map(
    read(INVARIANTS)
      .split(/^## /m)
      .slice(1)
      .map((section) => [/^[A-Z]\d+/.exec(section)?.[0] ?? section, section]),
  );
  /** Files by the numbers that titles of their tests quote. */
  const quoted = new Map<string, Set<string>>();
  for (const file of find(['{packages,runtimes,testing,scripts,examples}/**/*.ts'])) {
    if (!/\.test\.ts$|^testing\/conformance\//.test(file)) continue;
    for (const [, title = ''] of read(file).matchAll(TITLE)) {
      for (const [number] of title.matchAll(/\b[GSEVATJ]\d+\b/g)) {
        quoted.set(number, (quoted.get(number) ?? new Set()).add(file));
      }
    }
  }

  test('quoted in titles of tests are all explained', () => {
    expect([...quoted.keys()].filter((number) => !sections.has(number))).toEqual([]);
  });

  test('are each quoted by a test, or said not to be there yet', () => {
    const unproved = [...sections].filter(([number, text]) => !quoted.has(number) && !text.includes('**Not yet**'));
    expect(unproved.map(([number]) => number)).toEqual([]);
  });

  test('name as proof only files that quote them', () => {
    const wrong = [...sections].flatMap(([number, text]) =>
      [...text.matchAll(/\]\(([^)]+\.ts)\)/g)]
        .map((match) => path.join(path.dirname(INVARIANTS), match[1] ?? ''))
        .filter((file) => quoted.get(number)?.has(file) !== true)
        .map((file) => `${number}: ${file}`),
    );
    expect(wrong).toEqual([]);
  });
});
