import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { EbbError } from '../core/errors.ts';
import { type Config, SETTINGS } from './config-schema.ts';
import { closestWord } from './closest-word.ts';
import { flagName, type Setting, variableName } from './setting.ts';

/** Name of the settings file that is looked for in the data directory. */
export const CONFIG_FILE_NAME = 'ebb-server.yaml';

/** Where settings come from; the first of flag, variable, file and default that speaks wins. */
export interface ConfigInputs {
  /** Values by setting name (`metricsListen`), as a command-line parser hands them over; `config` is a file. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A settings file; must exist. Overrides `--config` and `EBB_CONFIG`. */
  readonly filePath?: string;
  /** Directory that relative paths start from; by default the current one. */
  readonly cwd?: string;
}

/** Who said what a setting is. */
export type ConfigOrigin = 'flag' | 'environment' | 'file' | 'default';

/** The settings with where they came from. */
export interface LoadedConfig {
  readonly config: Config;
  readonly origins: Readonly<Record<keyof Config, ConfigOrigin>>;
  /** The settings file that was read. */
  readonly filePath?: string;
  /** Sentences about things that are probably mistakes. */
  readonly warnings: readonly string[];
}

/** Variables that begin with EBB_ and belong to the client side, to instances or to {@link loadConfig} itself. */
const OTHER_VARIABLES = new Set(['EBB_URL', 'EBB_TOKEN', 'EBB_CONFIG', 'EBB_SECRETS_DIR']);

interface Given {
  readonly origin: ConfigOrigin;
  /** How a message says where the value stands. */
  readonly place: string;
  readonly value: string;
}

/**
 * Reads the settings: flag over environment over file over default. The file is `ebb-server.yaml` in the data
 * directory unless one is named. An empty variable counts as not set. Throws CONFIG_INVALID with one sentence that
 * names setting, value, place and what is allowed. This and its caller's `env` are the only readers of the
 * environment.
 */
export function loadConfig(inputs: ConfigInputs = {}): LoadedConfig {
  const { flags = {}, env = process.env, cwd = process.cwd() } = inputs;
  refuseUnknownFlags(flags);
  const named = inputs.filePath ?? flags['config'] ?? (env['EBB_CONFIG'] || undefined);
  const early = resolve(cwd, read(SETTINGS.dataDir, given(SETTINGS.dataDir.name, flags, env, undefined)));
  const filePath = named === undefined ? join(early, CONFIG_FILE_NAME) : resolve(cwd, named);
  const file = readFile(filePath, named !== undefined);
  if (named === undefined && file?.has(SETTINGS.dataDir.name)) {
    throw invalid(`dataDir cannot be set in ${filePath}, which was found through it; use --data-dir or EBB_DATA_DIR`);
  }
  const config: Record<string, unknown> = {};
  const origins: Record<string, ConfigOrigin> = {};
  for (const [key, setting] of Object.entries<Setting<unknown>>(SETTINGS)) {
    const said = given(setting.name, flags, env, file && { path: filePath, values: file });
    config[key] = read(setting, said);
    origins[key] = said?.origin ?? 'default';
  }
  const complete = config as Config;
  return {
    config: { ...complete, dataDir: resolve(cwd, complete.dataDir) },
    origins: origins as Record<keyof Config, ConfigOrigin>,
    ...(file && { filePath }),
    warnings: unknownVariables(env),
  };
}

function given(
  name: string,
  flags: NonNullable<ConfigInputs['flags']>,
  env: NonNullable<ConfigInputs['env']>,
  file: { readonly path: string; readonly values: ReadonlyMap<string, string> } | undefined,
): Given | undefined {
  const flag = flags[name];
  if (flag !== undefined) return { origin: 'flag', place: `flag ${flagName(name)}`, value: flag };
  const variable = env[variableName(name)];
  if (variable) return { origin: 'environment', place: `variable ${variableName(name)}`, value: variable };
  const line = file?.values.get(name);
  return file && line !== undefined ? { origin: 'file', place: `file ${file.path}`, value: line } : undefined;
}

function read<T>(setting: Setting<T>, said: Given | undefined): T {
  const text = said?.value ?? setting.fallback;
  // Only an optional setting has no fallback, and undefined is one of its values.
  if (text === undefined) return undefined as T;
  const value = setting.parse(text);
  if (value !== undefined) return value;
  const shown = setting.confidential ? '(a value not shown here)' : clip(JSON.stringify(text));
  throw invalid(`${setting.name} is ${shown} (${said?.place ?? 'default'}) but must be ${setting.allowed}`);
}

function readFile(path: string, mustExist: boolean): ReadonlyMap<string, string> | undefined {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (error) {
    if (!mustExist && error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(`the settings file ${path} cannot be read: ${reason}`, error);
  }
  const document = parseDocument(source, { prettyErrors: true });
  const fault = document.errors[0];
  if (fault) throw invalid(`the settings file ${path} is not valid YAML: ${fault.message.split('\n')[0] ?? ''}`, fault);
  const content: unknown = document.toJS({ maxAliasCount: 0 });
  if (content === null || content === undefined) return new Map();
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw invalid(`the settings file ${path} must map setting names to values, such as "listen: 127.0.0.1:8080"`);
  }
  return new Map(Object.entries(content).flatMap(([name, value]) => fileEntry(path, name, value)));
}

function fileEntry(path: string, name: string, value: unknown): [string, string][] {
  const names = Object.values(SETTINGS).map((setting) => setting.name);
  if (!names.includes(name)) {
    throw invalid(`the settings file ${path} has an unknown setting "${clip(name)}"${hint(name, names)}`);
  }
  if (value === null) return [];
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return [[name, String(value)]];
  }
  throw invalid(`${name} (file ${path}) must be a single value, not a list or a map`);
}

function refuseUnknownFlags(flags: NonNullable<ConfigInputs['flags']>): void {
  const names = [...Object.values(SETTINGS).map((setting) => setting.name), 'config'];
  for (const name of Object.keys(flags)) {
    if (!names.includes(name)) throw invalid(`there is no flag ${flagName(name)}${hint(name, names, flagName)}`);
  }
}

/** A stray variable is no reason not to start: orchestrators set some of their own, such as EBB_SERVICE_HOST. */
function unknownVariables(env: NonNullable<ConfigInputs['env']>): string[] {
  const names = Object.values(SETTINGS).map((setting) => variableName(setting.name));
  return Object.keys(env)
    .filter((name) => name.startsWith('EBB_') && !OTHER_VARIABLES.has(name) && !names.includes(name))
    .map((name) => `the variable ${clip(name)} is not a setting of the server and was ignored${hint(name, names)}`);
}

function hint(name: string, names: readonly string[], show = (word: string) => word): string {
  const near = closestWord(name, names);
  return near === undefined ? '' : `; did you mean ${show(near)}?`;
}

function clip(value: string): string {
  return value.length > 80 ? `${value.slice(0, 77)}...` : value;
}

function invalid(message: string, cause?: unknown): EbbError {
  return new EbbError('CONFIG_INVALID', message, { cause });
}
