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
    throw invalid(`the body is not valid JSON${reasonOf(error)}`, error);
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

/** What the parser says, without the piece of the body it may repeat, which may be a secret. */
function reasonOf(error: unknown): string {
  const words = error instanceof Error ? error.message : '';
  const reason =
    /^(?:Unexpected|Expected|Bad|Unterminated|No number|Exponent)[^"]{0,80}?(?=, "|, \.\.\."| in JSON| \(|$)/.exec(
      words,
    )?.[0];
  const place = /\(line \d+ column \d+\)/.exec(words)?.[0];
  return [reason && `: ${reason}`, place && ` ${place}`].filter((part) => part !== undefined).join('');
}

function invalid(message: string, cause?: unknown): EbbError {
  return new EbbError('INVALID_REQUEST', message, { cause });
}
