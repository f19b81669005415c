import { CliError } from './cli-error.ts';

/** Arguments and options of one run of a command, by name; options by their long name in camel case. */
export interface Parameters {
  /** A text, or undefined when it was not given. */
  text(name: string): string | undefined;
  /** A text that must be there and not be empty. */
  required(name: string): string;
  /** Whether a flag is on; `--no-x` makes `x` false. */
  flag(name: string): boolean;
  /** Every text given under a name, in order. */
  list(name: string): readonly string[];
  /** A whole number from `min`. */
  count(name: string, min: number): number | undefined;
}

/** Wraps what the command-line parser found. */
export function createParameters(values: Readonly<Record<string, unknown>>): Parameters {
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    text,
    required(name) {
      const value = text(name);
      if (value === undefined || value === '') throw new CliError('USAGE', `"${name}" must not be empty`);
      return value;
    },
    flag: (name) => values[name] === true,
    list(name) {
      const value = values[name];
      if (Array.isArray(value)) return value.filter((item) => typeof item === 'string');
      return typeof value === 'string' ? [value] : [];
    },
    count(name, min) {
      const value = text(name);
      if (value === undefined) return undefined;
      const count = Number(value);
      if (/^\d{1,9}$/.test(value) && count >= min) return count;
      throw new CliError('USAGE', `"--${name}" is "${value}" but must be a whole number from ${min}`);
    },
  };
}

/** Reads `NAME=VALUE` pairs; `what` names the option in the error. */
export function parsePairs(pairs: readonly string[], what: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new CliError('USAGE', `"${what}" is "${pair}" but must be NAME=VALUE`);
    values[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return values;
}
