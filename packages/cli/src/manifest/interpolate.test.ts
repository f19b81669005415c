import { describe, expect, test } from 'vitest';
import { interpolate } from './interpolate.ts';

describe('interpolate', () => {
  test.each([
    ['plain', 'plain'],
    ['${NAME}', 'Ada'],
    ['<${NAME}-${NAME}>', '<Ada-Ada>'],
    ['${MISSING:-x}', 'x'],
    ['${EMPTY:-x}', 'x'],
    ['${EMPTY}', ''],
    ['${NAME:-x}', 'Ada'],
    ['${MISSING:-}', ''],
    ['${MISSING:-a:-b c}', 'a:-b c'],
    ['$$', '$'],
    ['$${NAME}', '${NAME}'],
    ['$$$$', '$$'],
    ['$NAME costs 5$', '$NAME costs 5$'],
  ])('turns %j into %j', (text, expected) => {
    expect(interpolate(text, { NAME: 'Ada', EMPTY: '' })).toBe(expected);
  });

  test('never reads a value that came from a variable again', () => {
    expect(interpolate('${A}', { A: '${B} $$', B: 'no' })).toBe('${B} $$');
  });

  test('names the variable that is not set', () => {
    expect(() => interpolate('${DB_URL}', {})).toThrow(
      'uses the variable DB_URL, which is not set; set it or give a default: ${DB_URL:-default}',
    );
  });

  test.each(['${}', '${1A}', '${A-b}', '${A', '${A:?must}'])('refuses %j', (text) => {
    expect(() => interpolate(text, { A: 'x' })).toThrow('must be ${NAME} or ${NAME:-default}');
  });
});
