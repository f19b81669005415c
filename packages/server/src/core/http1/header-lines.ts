import { isHeaderName } from './header-name.ts';

/** RFC 9110 section 5.5, one character a byte: no control characters but the tabulator. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The header lines in `text` from `from` to `to` (after the last line's own characters, before the blank line), one
 * character a byte: names and values alternate, names keep their case, values lose the space around them. Undefined
 * when a line is not well-formed: continued lines, space before the colon, bare CR or LF, control characters.
 */
export function parseHeaderLines(text: string, from: number, to: number): string[] | undefined {
  const headers: string[] = [];
  for (let at = from; at < to;) {
    let end = text.indexOf('\r\n', at);
    if (end === -1 || end > to) end = to;
    const colon = text.indexOf(':', at);
    if (colon === -1 || colon >= end) return undefined;
    const name = text.slice(at, colon);
    let first = colon + 1;
    let last = end;
    while (first < last && isSpace(text.charCodeAt(first))) first += 1;
    while (last > first && isSpace(text.charCodeAt(last - 1))) last -= 1;
    const value = text.slice(first, last);
    if (!isHeaderName(name) || !FIELD_VALUE.test(value)) return undefined;
    headers.push(name, value);
    at = end + 2;
  }
  return headers;
}

function isSpace(char: number): boolean {
  return char === 32 || char === 9;
}
