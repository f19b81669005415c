/** A text with variables put in. */
export interface Substituted {
  readonly text: string;
  /** Variables that are not set and have no default; they became empty. */
  readonly unset: readonly string[];
}

/**
 * Puts variables into the text of a `stack.yaml`, before it is read as YAML, as its own tools do: `${NAME}` is empty when
 * it is not set, `${NAME:-default}` falls back when it is not set or empty. Lines that are comments stay as they are, and
 * so does any other `$`. A value that came from a variable is never read again. Pure.
 */
export function substitute(source: string, env: Readonly<Record<string, string | undefined>>): Substituted {
  const unset = new Set<string>();
  const lines = source.split('\n').map((line) =>
    /^\s*#/.test(line)
      ? line
      : line.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}]*))?\}/g, (_found, name: string, fallback?: string) => {
          const value = env[name];
          if (value !== undefined && value !== '') return value;
          if (fallback === undefined && value === undefined) unset.add(name);
          return fallback ?? '';
        }),
  );
  return { text: lines.join('\n'), unset: [...unset] };
}
