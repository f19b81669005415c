import { parseDurationMs, parseSizeBytes } from '@ebb/contract';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';

/** One setting of the server: how it is named, what it may be, and what it is when nobody says. */
export interface Setting<T> {
  /** Name in the settings file; flag and variable derive from it. */
  readonly name: string;
  /** What it is without a word from anybody, as a user would write it; undefined when it is left open. */
  readonly fallback: string | undefined;
  /** What is allowed, as the end of a sentence that begins with "must be". */
  readonly allowed: string;
  /** What it does, in one or two sentences for docs/config.md. */
  readonly description: string;
  /** Whether its value is kept out of messages. */
  readonly confidential: boolean;
  /** The value meant by what a user wrote, or undefined when that is not allowed. */
  readonly parse: (text: string) => T | undefined;
}

/** What every kind of setting is described by. */
export interface SettingText {
  readonly name: string;
  readonly description: string;
}

/** The flag of a setting: `--data-dir`. */
export function flagName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The environment variable of a setting: `EBB_DATA_DIR`. */
export function variableName(name: string): string {
  return `EBB_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** A setting that is one of a few words. */
export function choice<const T extends string>(
  text: SettingText & { readonly fallback: NoInfer<T>; readonly of: readonly T[] },
): Setting<T> {
  const words = text.of.map((word) => `"${word}"`);
  return {
    ...plain(text),
    allowed: `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`,
    parse: (value) => text.of.find((word) => word === value),
  };
}

/** A setting that is a whole number between two bounds. */
export function count(
  text: SettingText & { readonly fallback: number; readonly min: number; readonly max: number },
): Setting<number> {
  return {
    ...plain({ ...text, fallback: String(text.fallback) }),
    allowed: `a whole number from ${text.min} to ${text.max}`,
    parse: (value) => (/^\d{1,15}$/.test(value) ? inRange(Number(value), text.min, text.max) : undefined),
  };
}

/** A setting that is a duration such as `30s` between two bounds; its value is in milliseconds. */
export function duration(
  text: SettingText & { readonly fallback: string; readonly min: string; readonly max: string },
): Setting<number> {
  const [minMs, maxMs] = [bound(parseDurationMs(text.min)), bound(parseDurationMs(text.max))];
  return {
    ...plain(text),
    allowed: `a duration from ${text.min} to ${text.max}, such as "${text.fallback}"`,
    parse: (value) => inRange(parseDurationMs(value), minMs, maxMs),
  };
}

/** A setting that is a size such as `64Mi` between two bounds; its value is in bytes. */
export function size(
  text: SettingText & { readonly fallback: string; readonly min: string; readonly max: string },
): Setting<number> {
  const [minBytes, maxBytes] = [bound(parseSizeBytes(text.min)), bound(parseSizeBytes(text.max))];
  return {
    ...plain(text),
    allowed: `a size from ${text.min} to ${text.max}, such as "${text.fallback}"`,
    parse: (value) => inRange(parseSizeBytes(value), minBytes, maxBytes),
  };
}

/** A setting that is a size between two bounds, or left open; its value is in bytes. */
export function optionalSize(
  text: SettingText & { readonly min: string; readonly max: string },
): Setting<number | undefined> {
  return {
    ...size({ ...text, fallback: text.max }),
    fallback: undefined,
    allowed: `a size from ${text.min} to ${text.max}`,
  };
}

/** A setting that is a duration between two bounds, or left open; its value is in milliseconds. */
export function optionalDuration(
  text: SettingText & { readonly min: string; readonly max: string },
): Setting<number | undefined> {
  return {
    ...duration({ ...text, fallback: text.max }),
    fallback: undefined,
    allowed: `a duration from ${text.min} to ${text.max}`,
  };
}

/** A setting that says where to listen. */
export function address(text: SettingText & { readonly fallback: string }): Setting<ListenAddress> {
  return {
    ...plain(text),
    allowed: 'host:port, [IPv6]:port, :port or a port from 0 to 65535, such as "127.0.0.1:8080"',
    parse: parseListenAddress,
  };
}

/** A setting that says where to listen, or `off`. */
export function optionalAddress(text: SettingText & { readonly fallback: string }): Setting<ListenAddress | 'off'> {
  const listen = address(text);
  return {
    ...listen,
    allowed: `"off" or ${listen.allowed}`,
    parse: (value) => (value === 'off' ? 'off' : listen.parse(value)),
  };
}

/** A setting that is text of a certain form. */
export function text(
  options: SettingText & {
    readonly fallback: string;
    readonly allowed: string;
    readonly pattern: RegExp;
  },
): Setting<string> {
  return {
    ...plain(options),
    allowed: options.allowed,
    parse: (value) => (options.pattern.test(value) ? value : undefined),
  };
}

/** A setting that is text of a certain form or left open; a confidential one is never repeated in a message. */
export function optionalText(
  options: SettingText & {
    readonly allowed: string;
    readonly pattern: RegExp;
    readonly confidential?: boolean;
  },
): Setting<string | undefined> {
  return {
    ...text({ ...options, fallback: '' }),
    fallback: undefined,
    confidential: options.confidential ?? false,
  };
}

function plain(text: SettingText & { readonly fallback: string }) {
  return { name: text.name, description: text.description, fallback: text.fallback, confidential: false };
}

function inRange(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

function bound(value: number | undefined): number {
  if (value === undefined) throw new TypeError('a bound of a setting is not a quantity');
  return value;
}
