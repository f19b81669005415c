import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../core/cli-error.ts';
import { createProgram } from '../core/program.ts';
import { COMMANDS } from './commands.ts';

const DOCS = readFileSync(new URL('../../../../docs/cli.md', import.meta.url), 'utf8');

describe('the commands', () => {
  test('docs/cli.md shows every one by its long form, and by its short form where it has one', () => {
    for (const { name, aliases = [] } of COMMANDS) {
      expect(DOCS).toContain(`ebb ${name}`);
      const short = aliases.find((alias) => !alias.includes(' '));
      if (short !== undefined) expect(DOCS).toContain(`\`ebb ${short}`);
    }
  });

  test('docs/cli.md shows no command there is not', () => {
    const words = COMMANDS.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
    for (const [, short, long] of DOCS.matchAll(/^\| (?:`ebb ([a-z]+)[^`]*`)? ?\| `ebb ([a-z-]+ [a-z-]+)[^`]*`/gm)) {
      expect(words).toContain(long);
      if (short !== undefined) expect(words).toContain(short);
    }
  });

  test('docs/cli.md explains every exit code', () => {
    for (const code of Object.values(EXIT)) expect(DOCS).toContain(`\n| ${code} | `);
  });

  test('no two commands claim the same words', () => {
    const words = COMMANDS.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
    expect(new Set(words).size).toBe(words.length);
  });

  test('every way to say a command selects it, with its arguments and the options of every command', () => {
    for (const command of COMMANDS) {
      for (const path of [command.name, ...(command.aliases ?? [])]) {
        const selected: unknown[] = [];
        const program = createProgram(COMMANDS, '1', (definition, values) => selected.push(definition, values));
        const required = (command.args ?? []).filter(({ kind = 'required' }) => kind === 'required').map(() => 'x');
        program.parse([...path.split(' '), ...required, '--namespace', 'n', '--json'], { from: 'user' });
        expect(selected).toEqual([command, expect.objectContaining({ namespace: 'n', json: true })]);
      }
    }
  });
});
