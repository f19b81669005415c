/** The value of the first header of that name (in lower case), or undefined. Names and values alternate in `raw`. */
export function headerValue(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (isNamed(raw[i], name)) return raw[i + 1];
  return undefined;
}

/** Whether a header of that name (in lower case) is there, and has the value if one is given. */
export function hasHeader(raw: readonly string[], name: string, value: string | undefined): boolean {
  for (let i = 0; i < raw.length; i += 2) {
    if (isNamed(raw[i], name) && (value === undefined || raw[i + 1] === value)) return true;
  }
  return false;
}

/** The value of the first cookie of that name, without quotes, or undefined (RFC 6265 section 4.2.1). */
export function cookieValue(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) {
    if (!isNamed(raw[i], 'cookie')) continue;
    for (const pair of (raw[i + 1] ?? '').split(';')) {
      const equals = pair.indexOf('=');
      if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
      const value = pair.slice(equals + 1).trim();
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
  }
  return undefined;
}

function isNamed(given: string | undefined, name: string): boolean {
  return given?.length === name.length && given.toLowerCase() === name;
}
