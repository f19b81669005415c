import type {
  AliasResource,
  AliasSpecInput,
  CodeResource,
  ColdStart,
  DeployRequestInput,
  DeployResource,
  Finding,
  FunctionName,
  FunctionResource,
  HealthResource,
  InstanceResource,
  LogLine,
  LogQuery,
  NamespaceLimits,
  NamespaceResource,
  PublishRequest,
  RolloutResource,
  SecretResource,
  VersionDiff,
  VersionInfo,
  VersionResource,
} from '@ebb/contract';
import { readApiError } from './api-error.ts';
import { type InvokeRequest, invokeFunction } from './invoke.ts';
import { invocationsOf } from './invocations.ts';
import { jobsOf } from './jobs.ts';
import { deadLettersOf, queuesOf, signingKeysOf } from './outcomes.ts';
import { readJsonLines } from './read-lines.ts';
import { createTransport, type RequestBody, type TransportOptions } from './transport.ts';

/** How the client finds and reaches the server. `fetch` defaults to the global one. */
export type EbbClientOptions = TransportOptions;

/** Lets a caller give up on a request. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What a deploy came to. */
export type DeployResult = DeployResource;

/** Formats in which code may be uploaded. */
export type CodeFormat = 'tar' | 'tar.gz' | 'zip';

const CODE_TYPES: Readonly<Record<CodeFormat, string>> = {
  tar: 'application/x-tar',
  'tar.gz': 'application/gzip',
  zip: 'application/zip',
};

/**
 * The control API and the functions of one server. Every method throws `EbbApiError` when the server answers with an
 * error, `EbbUnreachableError` when it does not answer, and the signal's reason when aborted.
 */
export type EbbClient = ReturnType<typeof createEbbClient>;

/** Makes a client; it holds no connection and needs no closing. */
export function createEbbClient(options: EbbClientOptions) {
  const transport = createTransport(options);
  const { json, request } = transport;

  return {
    /** The server's address. */
    url: options.url.replace(/\/+$/, ''),
    /** How the server is, also while it shuts down; needs no token. */
    async health(call: CallOptions = {}): Promise<HealthResource> {
      const response = await transport.send('/v1/health', call);
      // A server that drains says so with 503, so that load balancers understand.
      const text = await response.clone().text();
      if (text.includes('"status"')) return JSON.parse(text) as HealthResource;
      throw await readApiError(response, options.url);
    },
    version: (call: CallOptions = {}) => json<VersionInfo>('/v1/version', call),
    /** What the server's host offers and lacks. */
    doctor: (call: CallOptions = {}) => json<readonly Finding[]>('/v1/doctor', call),

    namespaces: {
      list: (call: CallOptions = {}) => json<readonly NamespaceResource[]>('/v1/namespaces', call),
      get: (name: string, call: CallOptions = {}) => json<NamespaceResource>(namespacePath(name), call),
      /** Makes a namespace, or answers the one there is. */
      create: (name: string, call: CallOptions = {}) =>
        json<NamespaceResource>(namespacePath(name), { ...call, method: 'PUT' }),
      /** Sets what a namespace may use; what is not named is not limited any more. */
      setLimits: (name: string, limits: NamespaceLimits, call: CallOptions = {}) =>
        json<NamespaceResource>(`${namespacePath(name)}/limits`, {
          ...call,
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(limits),
        }),
      async remove(name: string, call: CallOptions = {}): Promise<void> {
        await request(namespacePath(name), { ...call, method: 'DELETE' });
      },
    },

    functions: {
      list: (namespace: string, call: CallOptions = {}) =>
        json<readonly FunctionResource[]>(`${namespacePath(namespace)}/functions`, call),
      get: (ref: FunctionName, call: CallOptions = {}) => json<FunctionResource>(functionPath(ref), call),
      /**
       * Deploys a version and waits until it serves; with `probe: false` it does not wait for an instance, with
       * `serve: false` the version is stored without getting calls.
       */
      deploy: (
        ref: FunctionName,
        body: DeployRequestInput,
        call: CallOptions & { readonly probe?: boolean; readonly serve?: boolean } = {},
      ) =>
        json<DeployResult>(functionPath(ref), {
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          query: { probe: call.probe, serve: call.serve },
          body: JSON.stringify(body),
          signal: call.signal,
        }),
      async remove(ref: FunctionName, call: CallOptions = {}): Promise<void> {
        await request(functionPath(ref), { ...call, method: 'DELETE' });
      },
      /** Newest first. */
      versions: (ref: FunctionName, call: CallOptions = {}) =>
        json<readonly VersionResource[]>(`${functionPath(ref)}/versions`, call),
      /** Gives every call to the version that had them before, or to `to`; at once. */
      rollback: (ref: FunctionName, call: CallOptions & { readonly to?: number | undefined } = {}) =>
        json<FunctionResource>(`${functionPath(ref)}/rollback`, {
          method: 'POST',
          query: { to: call.to },
          signal: call.signal,
        }),
      instances: (ref: FunctionName, call: CallOptions = {}) =>
        json<readonly InstanceResource[]>(`${functionPath(ref)}/instances`, call),
      /** The last starts that calls waited for, newest first. */
      coldStarts: (ref: FunctionName, call: CallOptions = {}) =>
        json<readonly ColdStart[]>(`${functionPath(ref)}/cold-starts`, call),
      /** Stored lines, oldest first, then with `follow` new ones until the signal aborts or the server stops. */
      async *logs(
        ref: FunctionName,
        query: Partial<LogQuery> = {},
        call: CallOptions = {},
      ): AsyncGenerator<LogLine, void, undefined> {
        yield* readJsonLines<LogLine>(await request(`${functionPath(ref)}/logs`, { ...call, query }));
      },
    },

    versions: {
      get: (ref: FunctionName, version: number, call: CallOptions = {}) =>
        json<VersionResource>(versionPath(ref, version), call),
      /** What differs from version `from` to version `to`, by default the live one. */
      diff: (ref: FunctionName, from: number, call: CallOptions & { readonly to?: number | undefined } = {}) =>
        json<VersionDiff>(`${versionPath(ref, from)}/diff`, { query: { to: call.to }, signal: call.signal }),
      /** Says what a version is, and may point an alias at it. */
      publish: (ref: FunctionName, version: number, body: PublishRequest, call: CallOptions = {}) =>
        json<VersionResource>(`${versionPath(ref, version)}/publish`, { ...call, ...jsonBody('POST', body) }),
      async remove(ref: FunctionName, version: number, call: CallOptions = {}): Promise<void> {
        await request(versionPath(ref, version), { ...call, method: 'DELETE' });
      },
    },

    aliases: {
      /** `live` first. */
      list: (ref: FunctionName, call: CallOptions = {}) =>
        json<readonly AliasResource[]>(`${functionPath(ref)}/aliases`, call),
      get: (ref: FunctionName, alias: string, call: CallOptions = {}) =>
        json<AliasResource>(aliasPath(ref, alias), call),
      /** Makes an alias or replaces all it says; in force when the promise resolves. */
      set: (ref: FunctionName, alias: string, spec: AliasSpecInput, call: CallOptions = {}) =>
        json<AliasResource>(aliasPath(ref, alias), { ...call, ...jsonBody('PUT', spec) }),
      async remove(ref: FunctionName, alias: string, call: CallOptions = {}): Promise<void> {
        await request(aliasPath(ref, alias), { ...call, method: 'DELETE' });
      },
    },

    rollouts: {
      /** The last ones with their timelines, newest first. */
      list: (ref: FunctionName, call: CallOptions = {}) =>
        json<readonly RolloutResource[]>(`${functionPath(ref)}/rollouts`, call),
      /** The one that runs, or the last one. */
      get: (ref: FunctionName, call: CallOptions = {}) => json<RolloutResource>(`${functionPath(ref)}/rollout`, call),
      /** Keeps the weights, goes on, gives the new version all calls, or gives them back to the old one. */
      change: (ref: FunctionName, command: 'pause' | 'resume' | 'promote' | 'abort', call: CallOptions = {}) =>
        json<RolloutResource>(`${functionPath(ref)}/rollout/${command}`, { ...call, method: 'POST' }),
    },

    code: {
      /** Uploads an archive of a code directory; the answer's digest goes into a deploy. */
      upload: (namespace: string, archive: RequestBody, format: CodeFormat, call: CallOptions = {}) =>
        json<CodeResource>(`${namespacePath(namespace)}/code`, {
          ...call,
          method: 'POST',
          headers: { 'content-type': CODE_TYPES[format] },
          body: archive,
        }),
    },

    secrets: {
      list: (namespace: string, call: CallOptions = {}) =>
        json<readonly SecretResource[]>(`${namespacePath(namespace)}/secrets`, call),
      /** Sets a secret to exactly these bytes. */
      set: (namespace: string, name: string, value: Uint8Array<ArrayBuffer>, call: CallOptions = {}) =>
        json<SecretResource>(secretPath(namespace, name), {
          ...call,
          method: 'PUT',
          headers: { 'content-type': 'application/octet-stream' },
          body: value,
        }),
      async remove(namespace: string, name: string, call: CallOptions = {}): Promise<void> {
        await request(secretPath(namespace, name), { ...call, method: 'DELETE' });
      },
    },

    /** Calls that are accepted now and made later. */
    invocations: invocationsOf(transport),
    deadLetters: deadLettersOf(transport),
    queues: queuesOf(transport),
    signingKeys: signingKeysOf(transport),

    /** Batches of tasks, each run to completion. */
    jobs: jobsOf(transport),

    /** Calls a function; answers of any status are returned, not thrown. */
    invoke: (ref: FunctionName, call: InvokeRequest = {}) => invokeFunction(transport, ref, call),
  };
}

function namespacePath(namespace: string): string {
  return `/v1/namespaces/${encodeURIComponent(namespace)}`;
}

function functionPath(ref: FunctionName): string {
  return `${namespacePath(ref.namespace)}/functions/${encodeURIComponent(ref.name)}`;
}

function versionPath(ref: FunctionName, version: number): string {
  return `${functionPath(ref)}/versions/${version}`;
}

function aliasPath(ref: FunctionName, alias: string): string {
  return `${functionPath(ref)}/aliases/${encodeURIComponent(alias)}`;
}

function jsonBody(method: string, body: unknown) {
  return { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function secretPath(namespace: string, name: string): string {
  return `${namespacePath(namespace)}/secrets/${encodeURIComponent(name)}`;
}
