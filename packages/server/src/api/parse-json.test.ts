import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EbbError } from '../core/errors.ts';
import { parseJson } from './parse-json.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('parseJson', () => {
  test('reads every JSON value that is not too deep', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('__proto__'));
        expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test('whatever comes, it answers a value or INVALID_REQUEST', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          parseJson(noise);
        } catch (error) {
          expect(error).toBeInstanceOf(EbbError);
          expect(error).toMatchObject({ code: 'INVALID_REQUEST' });
        }
      }),
    );
  });

  test('fault case 49: counts nesting outside of strings only, before it parses', () => {
    expect(parseJson(bytes(`["${'['.repeat(100)}\\"${'{'.repeat(100)}"]`))).toHaveLength(1);
    expect(() => parseJson(bytes('{"a":'.repeat(1_000_000)))).toThrow('nested deeper than 32 levels');
    expect(parseJson(bytes(`${'['.repeat(32)}${']'.repeat(32)}`))).toBeDefined();
  });

  test('T2: the refusal does not repeat the body', () => {
    for (const text of [
      '{"value": hunter2}',
      '{"value":"hunter2" hunter2',
      `${' '.repeat(100)}{"value":"hunter2\n"}`,
    ]) {
      let message = '';
      try {
        parseJson(bytes(text));
      } catch (error) {
        message = error instanceof Error ? error.message : '';
      }
      expect(message).toMatch(/^the body is not valid JSON/);
      expect(message).not.toContain('unter2');
    }
  });

  test.each([
    ['a field named __proto__', '{"a":[{"__proto__":{"x":1}}]}', '"__proto__"'],
    ['bytes that are not UTF-8', '\xff', 'not valid UTF-8'],
    ['nothing', ' \n', 'the body is empty'],
  ])('refuses %s', (_what, text, message) => {
    const input = text === '\xff' ? new Uint8Array([0x22, 0xff, 0x22]) : bytes(text);
    expect(() => parseJson(input)).toThrow(message);
  });
});
