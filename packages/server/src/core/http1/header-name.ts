/** What the letter a name begins with is counted from; with this bit set a letter is lower case. */
const LETTER_A = 97;
const LETTER_Z = 122;
const LOWER_CASE_BIT = 32;
/** A mask has this many bits. */
const MASK_BITS = 31;

/** What is known of some headers by their name, whatever its case. */
export interface HeaderTable<T> {
  /** What is known under a name. Nearly all others are told by length and first letter alone, without a look-up. */
  find(name: string): T | undefined;
}

/** Makes a table of rows by name in lower case. Every name begins with a letter. */
export function createHeaderTable<T>(rows: Iterable<readonly [name: string, row: T]>): HeaderTable<T> {
  const all = [...rows];
  const longest = Math.max(...all.map(([name]) => name.length));
  // By length: the letters that names of this length begin with, and the names. Comparing a few characters is cheaper
  // than a look-up by a name that was just cut out of a message, whose hash nobody knows yet.
  const masks = new Int32Array(longest + 1);
  const byLength = Array.from({ length: longest + 1 }, (): { name: string; row: T }[] => []);
  for (const [name, row] of all) {
    masks[name.length] = (masks[name.length] ?? 0) | letterBit(name);
    byLength[name.length]?.push({ name, row });
  }
  return {
    find(name) {
      if (name.length > longest || ((masks[name.length] ?? 0) & letterBit(name)) === 0) return undefined;
      for (const known of byLength[name.length] ?? []) if (isCaseOf(name, known.name)) return known.row;
      return undefined;
    },
  };
}

/** Whether `name` is `lower` but for the case of its letters; both are equally long. */
function isCaseOf(name: string, lower: string): boolean {
  for (let i = 0; i < lower.length; i += 1) {
    const wanted = lower.charCodeAt(i);
    const char = name.charCodeAt(i);
    if (char !== wanted && !((char | LOWER_CASE_BIT) === wanted && wanted >= LETTER_A && wanted <= LETTER_Z))
      return false;
  }
  return true;
}

function letterBit(name: string): number {
  return 1 << (((name.charCodeAt(0) | LOWER_CASE_BIT) - LETTER_A) & MASK_BITS);
}

/** By character, whether it can stand in a header's name (RFC 9110 section 5.6.2). */
const TOKEN_CHARS = Uint8Array.from({ length: 256 }, (_, char) =>
  /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(char)) ? 1 : 0,
);

/** Whether text, one character a byte, can be a header's name. */
export function isHeaderName(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (TOKEN_CHARS[text.charCodeAt(i)] !== 1) return false;
  return text.length > 0;
}
