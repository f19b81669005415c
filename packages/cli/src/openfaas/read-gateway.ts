import { DEFAULT_NAMESPACE } from '@ebb/contract';
import type { Fetch } from '@ebb/sdk';
import { CliError } from '../core/cli-error.ts';
import type { Amounts, ImportedFunction, ImportSource, OpenFaasDeployment } from './deployment.ts';

/** How a gateway is read. */
export interface ReadGatewayOptions {
  /** Address without a trailing slash. */
  readonly gateway: string;
  /** The `Authorization` header, where there is one. */
  readonly authorization: string | undefined;
  /** The one namespace to read; all of them without it. */
  readonly namespace?: string | undefined;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
}

/** Labels that a gateway adds to functions. */
const PLATFORM_LABELS: ReadonlySet<string> = new Set(['faas_function', 'com.openfaas.uid', 'uid']);

/**
 * All functions and names of secrets of a gateway. Nothing is changed there. Throws UNREACHABLE, LOGIN_REFUSED, and
 * NOT_FOUND where something else than such a gateway answers.
 */
export async function readGateway(options: ReadGatewayOptions): Promise<ImportSource> {
  const { gateway, namespace } = options;
  const ask = (path: string): Promise<unknown> => askGateway(options, path);
  const listed = namespace === undefined ? await ask('/system/namespaces') : [namespace];
  const named = (Array.isArray(listed) ? (listed as unknown[]) : []).filter((one) => typeof one === 'string');
  const namespaces = named.length === 0 ? [DEFAULT_NAMESPACE] : named;
  const functions: ImportedFunction[] = [];
  const secrets: { namespace: string; name: string }[] = [];
  const notes: string[] = [];
  for (const one of namespaces) {
    const query = `?namespace=${encodeURIComponent(one)}`;
    const statuses = await ask(`/system/functions${query}`);
    if (!Array.isArray(statuses)) {
      throw new CliError('NOT_FOUND', `${gateway} has no functions to import: GET /system/functions gave no list`);
    }
    functions.push(...(statuses as unknown[]).map((status) => toFunction(record(status), one)));
    const names = await ask(`/system/secrets${query}`);
    for (const secret of Array.isArray(names) ? (names as unknown[]) : []) {
      const { name } = record(secret);
      if (typeof name === 'string') secrets.push({ namespace: one, name });
    }
    notes.push(...namespaceNotes(one, record(await ask(`/system/namespace/${encodeURIComponent(one)}`))));
  }
  return { from: gateway, functions, secrets, notes };
}

/** Asks for JSON; undefined when the gateway has no such path. */
async function askGateway(options: ReadGatewayOptions, path: string): Promise<unknown> {
  const { gateway, authorization, fetch, signal } = options;
  let response: Response;
  try {
    const headers = { accept: 'application/json', ...(authorization === undefined ? {} : { authorization }) };
    response = await fetch(`${gateway}${path}`, { method: 'GET', headers, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new CliError('UNREACHABLE', `the gateway ${gateway} does not answer; check its address`, { cause: error });
  }
  const text = await response.text();
  if (response.status === 401 || response.status === 403) {
    throw new CliError(
      'LOGIN_REFUSED',
      `${gateway} refuses ${authorization === undefined ? 'to answer without a login' : 'this login'}; give --username and --password-stdin`,
    );
  }
  if (response.status === 404 || response.status === 405 || response.status === 501) return undefined;
  try {
    if (response.status === 200) return JSON.parse(text) as unknown;
  } catch (error) {
    throw new CliError('NOT_FOUND', `${gateway}${path} did not answer with JSON; is it a gateway?`, { cause: error });
  }
  throw new CliError('NOT_FOUND', `${gateway}${path} answered ${response.status}: ${text.trim().slice(0, 200)}`);
}

function toFunction(status: Readonly<Record<string, unknown>>, listedIn: string): ImportedFunction {
  const { name, image, namespace, envProcess, constraints, secrets, limits, requests } = status;
  if (typeof name !== 'string' || typeof image !== 'string') {
    throw new CliError('NOT_FOUND', 'the gateway lists a function without a name or an image');
  }
  const envVars = { ...texts(status['envVars']) };
  if (typeof envProcess === 'string' && envVars['fprocess'] === envProcess) delete envVars['fprocess'];
  const labels = Object.entries(texts(status['labels'])).filter(([label]) => !PLATFORM_LABELS.has(label));
  const deployment: OpenFaasDeployment = {
    service: name,
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : listedIn,
    image,
    ...(typeof envProcess === 'string' && envProcess !== '' ? { envProcess } : {}),
    envVars,
    constraints: list(constraints),
    secrets: list(secrets),
    labels: Object.fromEntries(labels),
    annotations: texts(status['annotations']),
    ...amounts('limits', limits),
    ...amounts('requests', requests),
    readOnlyRootFilesystem: status['readOnlyRootFilesystem'] === true,
  };
  const notes =
    status['replicas'] === 0 || status['replicas'] === undefined
      ? ['it is scaled to zero there; here calls start it']
      : [];
  return { deployment, notes };
}

/** What namespaces have beyond the mark that makes them namespaces of functions. */
function namespaceNotes(name: string, content: Readonly<Record<string, unknown>>): string[] {
  return (['labels', 'annotations'] as const).flatMap((kind) => {
    const names = Object.keys(texts(content[kind])).filter(
      (key) => key !== 'openfaas' && !key.includes('kubernetes.io/'),
    );
    return names.length === 0 ? [] : [`${kind} of the namespace "${name}" do not come over: ${names.join(', ')}`];
  });
}

function amounts<Key extends 'limits' | 'requests'>(key: Key, value: unknown): Partial<Record<Key, Amounts>> {
  const found = texts(value);
  return Object.keys(found).length === 0 ? {} : ({ [key]: found } as Partial<Record<Key, Amounts>>);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function texts(value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(record(value)).flatMap(([key, text]) => (typeof text === 'string' ? [[key, text] as const] : [])),
  );
}

function list(value: unknown): readonly string[] {
  return Array.isArray(value) ? (value as unknown[]).filter((item) => typeof item === 'string') : [];
}
