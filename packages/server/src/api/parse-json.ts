import { EbbError } from '../core/errors.ts';

/** Deepest nesting of a JSON body; the deepest real one, a deploy, has five levels. */
const MAX_DEPTH = 32;

/**
 * Reads the JSON body of a request. Throws INVALID_REQUEST with one sentence when it is not JSON, nested deeper than
 * 32 levels, or names a field `__proto__`; nesting is measured before anything is parsed.
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalid('the body is not valid UTF-8', error);
  }
  if (text.trim() === '') throw invalid('the body is empty but must be JSON');
  if (exceedsDepth(text, MAX_DEPTH)) throw invalid(`the body is nested deeper than ${MAX_DEPTH} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`the body is not valid JSON${placeOf(error, text)}`, error);
  }
  if (namesPrototype(value)) throw invalid('the body has a field "__proto__", which is not allowed anywhere');
  return value;
}

function exceedsDepth(text: string, max: number): boolean {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (isInString) {
      if (character === '\\') index += 1;
      else if (character === '"') isInString = false;
    } else if (character === '"') {
      isInString = true;
    } else if (character === '{' || character === '[') {
      depth += 1;
      if (depth > max) return true;
    } else if (character === '}' || character === ']') {
      depth -= 1;
    }
  }
  return false;
}

function namesPrototype(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(namesPrototype);
}

/** The parser's own words repeat the body, which may hold a secret; only the place is passed on. */
function placeOf(error: unknown, text: string): string {
  const position = /at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
  if (position === undefined) return '';
  const before = text.slice(0, Number(position)).split('\n');
  return `: see line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

function invalid(message: string, cause?: unknown): EbbError {
  return new EbbError('INVALID_REQUEST', message, { cause });
}
