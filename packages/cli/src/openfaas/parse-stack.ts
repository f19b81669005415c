import { isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { CliError } from '../core/cli-error.ts';
import { substitute } from './substitute.ts';

/** A function of a `stack.yaml`, every value as the text it stands there. */
export interface StackFunction {
  readonly name: string;
  readonly image?: string;
  readonly namespace?: string;
  readonly lang?: string;
  readonly handler?: string;
  readonly fprocess?: string;
  readonly skipBuild: boolean;
  readonly platforms?: string;
  readonly readOnlyRootFilesystem: boolean;
  readonly environment: Readonly<Record<string, string>>;
  readonly environmentFiles: readonly string[];
  readonly secrets: readonly string[];
  readonly constraints: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
  readonly requests?: Readonly<Record<string, string>>;
  readonly buildOptions: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly buildSecrets: Readonly<Record<string, string>>;
  /** Fields that are not known, which nothing is done about. */
  readonly unknown: readonly string[];
}

/** A `stack.yaml` that was read. */
export interface ParsedStack {
  readonly gateway?: string;
  readonly functions: readonly StackFunction[];
  /** Paths that are copied into every build. */
  readonly copy: readonly string[];
  /** What of the file itself does not come over, in sentences. */
  readonly notes: readonly string[];
}

/** What a `stack.yaml` is read with. */
export interface StackOrigin {
  /** How errors name the file. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

type Content = Readonly<Record<string, unknown>>;

/** Fields of a function that are read; any other is told of. */
const FIELDS: ReadonlySet<string> = new Set([
  'annotations',
  'build_args',
  'build_options',
  'build_secrets',
  'constraints',
  'environment',
  'environment_file',
  'fprocess',
  'handler',
  'image',
  'labels',
  'lang',
  'limits',
  'namespace',
  'platforms',
  'readonly_root_filesystem',
  'requests',
  'secrets',
  'skip_build',
]);

/**
 * Reads the text of a `stack.yaml`: variables first, then YAML. Throws MANIFEST_INVALID with a sentence that begins with
 * the file and, where it is known, the line.
 */
export function parseStack(source: string, origin: StackOrigin): ParsedStack {
  const { text, unset } = substitute(source, origin.env);
  const content = readTexts(text, origin.file);
  const refuse = (path: string, rule: string): CliError =>
    new CliError('MANIFEST_INVALID', `${origin.file}: "${path}" ${rule}`);
  const reader = createReader(refuse);
  const top = reader.map(content, 'the file') ?? {};
  const provider = reader.map(top['provider'], 'provider') ?? {};
  const providerName = reader.text(provider['name'], 'provider.name');
  if (providerName !== undefined && !['openfaas', 'faas'].includes(providerName)) {
    throw refuse('provider.name', `is "${providerName}" but must be "openfaas"`);
  }
  const functions = reader.map(top['functions'], 'functions');
  if (!functions || Object.keys(functions).length === 0) throw refuse('functions', 'names no function; add one');
  const configuration = reader.map(top['configuration'], 'configuration') ?? {};
  const gateway = reader.text(provider['gateway'], 'provider.gateway');
  return {
    ...(gateway === undefined ? {} : { gateway }),
    functions: Object.entries(functions).map(([name, value]) =>
      toFunction(name, reader.map(value, `functions.${name}`) ?? {}, reader),
    ),
    copy: reader.list(configuration['copy'], 'configuration.copy'),
    notes: [
      ...unset.map((name) => `the variable ${name} is not set and became empty`),
      ...unknownKeys(top, ['version', 'provider', 'functions', 'configuration'], ''),
      ...unknownKeys(provider, ['name', 'gateway'], 'provider.'),
      ...unknownKeys(configuration, ['templates', 'copy'], 'configuration.'),
    ],
  };
}

function toFunction(name: string, fields: Content, reader: Reader): StackFunction {
  const at = `functions.${name}`;
  const text = (key: string): string | undefined => reader.text(fields[key], `${at}.${key}`);
  const flag = (key: string): boolean => reader.flag(fields[key], `${at}.${key}`);
  const list = (key: string): readonly string[] => reader.list(fields[key], `${at}.${key}`);
  const texts = (key: string): Readonly<Record<string, string>> | undefined =>
    reader.texts(fields[key], `${at}.${key}`);
  const optional = {
    image: text('image'),
    namespace: text('namespace'),
    lang: text('lang'),
    handler: text('handler'),
    fprocess: text('fprocess'),
    platforms: text('platforms'),
    limits: texts('limits'),
    requests: texts('requests'),
  };
  return {
    name,
    ...(withoutUndefined(optional) as Partial<Pick<StackFunction, keyof typeof optional>>),
    skipBuild: flag('skip_build'),
    readOnlyRootFilesystem: flag('readonly_root_filesystem'),
    environment: texts('environment') ?? {},
    environmentFiles: list('environment_file'),
    secrets: list('secrets'),
    constraints: list('constraints'),
    labels: texts('labels') ?? {},
    annotations: texts('annotations') ?? {},
    buildOptions: list('build_options'),
    buildArgs: texts('build_args') ?? {},
    buildSecrets: texts('build_secrets') ?? {},
    unknown: Object.keys(fields).filter((key) => !FIELDS.has(key)),
  };
}

/** The map under `environment` in the text of a file that `environment_file` names. Throws MANIFEST_INVALID. */
export function parseEnvironmentFile(source: string, origin: StackOrigin): Readonly<Record<string, string>> {
  const reader = createReader((path, rule) => new CliError('MANIFEST_INVALID', `${origin.file}: "${path}" ${rule}`));
  const content = reader.map(readTexts(substitute(source, origin.env).text, origin.file), 'the file') ?? {};
  const environment = reader.texts(content['environment'], 'environment');
  if (environment) return environment;
  throw new CliError(
    'MANIFEST_INVALID',
    `${origin.file}: "environment" is missing: a file with variables has them below that key`,
  );
}

interface Reader {
  map(value: unknown, path: string): Content | undefined;
  text(value: unknown, path: string): string | undefined;
  flag(value: unknown, path: string): boolean;
  list(value: unknown, path: string): readonly string[];
  texts(value: unknown, path: string): Readonly<Record<string, string>> | undefined;
}

function createReader(refuse: (path: string, rule: string) => CliError): Reader {
  const reader: Reader = {
    map(value, path) {
      if (value === undefined || value === null) return undefined;
      if (typeof value === 'object' && !Array.isArray(value)) return { ...value };
      throw refuse(path, 'must be a map of names to values');
    },
    text(value, path) {
      if (value === undefined || value === null || value === '') return undefined;
      if (typeof value === 'string') return value;
      throw refuse(path, 'must be a text');
    },
    flag(value, path) {
      const text = reader.text(value, path)?.toLowerCase();
      if (text === undefined || text === 'false' || text === 'no') return false;
      if (text === 'true' || text === 'yes') return true;
      throw refuse(path, `is "${text}" but must be true or false`);
    },
    list(value, path) {
      if (value === undefined || value === null) return [];
      if (!Array.isArray(value)) throw refuse(path, 'must be a list');
      return value.map((item: unknown, index) => {
        const text = reader.text(item, `${path}.${index}`);
        if (text === undefined) throw refuse(`${path}.${index}`, 'must not be empty');
        return text;
      });
    },
    texts(value, path) {
      const map = reader.map(value, path);
      return (
        map &&
        Object.fromEntries(Object.entries(map).map(([key, item]) => [key, reader.text(item, `${path}.${key}`) ?? '']))
      );
    },
  };
  return reader;
}

/** YAML in which every value is the text it is written as, so that `1.10` and `true` stay what they look like. */
function readTexts(source: string, file: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(source, { lineCounter, merge: true, schema: 'failsafe', prettyErrors: false });
  const fault = document.errors[0];
  if (fault) {
    const { line } = lineCounter.linePos(fault.pos[0]);
    const message = fault.message.split('\n')[0] ?? '';
    throw new CliError('MANIFEST_INVALID', `${file}:${line}: this is not valid YAML: ${message}`, { cause: fault });
  }
  visit(document, {
    Scalar(key, node) {
      if (key !== 'key' && node.type === 'PLAIN' && /^(?:~|null|)$/.test(node.source ?? '')) node.value = null;
    },
  });
  if (document.contents !== null && !isMap(document.contents) && !isScalar(document.contents)) {
    throw new CliError('MANIFEST_INVALID', `${file}: the file must be a map with "provider" and "functions"`);
  }
  return document.toJS({ maxAliasCount: 100 }) as unknown;
}

function unknownKeys(map: Content, known: readonly string[], prefix: string): string[] {
  return Object.keys(map)
    .filter((key) => !known.includes(key))
    .map((key) => `the field "${prefix}${key}" is not known and means nothing here`);
}

function withoutUndefined(map: Readonly<Record<string, unknown>>): Content {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
}
