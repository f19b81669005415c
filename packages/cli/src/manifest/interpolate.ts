/** Why variables could not be put into a text; the end of a sentence that begins with where the text stands. */
export class InterpolationError extends Error {}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Puts environment variables into a text: `${NAME}` must be set, `${NAME:-default}` falls back when it is not set or
 * empty, `$$` is a dollar sign. Any other `$` stays as it is. Throws {@link InterpolationError}.
 */
export function interpolate(text: string, env: Environment): string {
  return text.replace(/\$\$|\$\{([^}]*)(\}?)/g, (found, inside: string | undefined, end: string) => {
    if (found === '$$') return '$';
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/.exec(inside ?? '');
    const name = match?.[1];
    if (name === undefined || end === '') {
      throw new InterpolationError(
        `has "${found}", which must be \${NAME} or \${NAME:-default}; write "$$" for a dollar sign`,
      );
    }
    const fallback = match?.[2];
    const value = env[name];
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value !== undefined) return value;
    throw new InterpolationError(
      `uses the variable ${name}, which is not set; set it or give a default: \${${name}:-default}`,
    );
  });
}
