import { type JobSpecInput, NAME_PATTERN } from '@ebb/contract';
import { splitCommand } from './split-command.ts';

/** A job to submit. */
export interface NamedJob {
  readonly name: string;
  readonly spec: JobSpecInput;
}

/** What a compose file means as jobs. */
export type ComposeJobs =
  | { readonly kind: 'jobs'; readonly jobs: readonly NamedJob[]; readonly warnings: readonly string[] }
  | { readonly kind: 'refused'; readonly message: string };

/** Relative weight that stands for one core. */
const SHARES_A_CORE = 1024;

/** Keys that would lead out of the sandbox: a job that needs one cannot be run as if it did not. */
const DANGEROUS: Readonly<Record<string, string>> = {
  privileged: 'tasks never run privileged',
  cap_add: 'tasks have no capabilities',
  devices: 'tasks see no devices of the host',
  device_cgroup_rules: 'tasks see no devices of the host',
  volumes: 'tasks see no files of the host; send inputs, or put files into the image',
  volumes_from: 'tasks see no files of others',
  pid: 'tasks have processes of their own',
  ipc: 'tasks have memory of their own',
  userns_mode: 'tasks have users of their own',
  uts: 'tasks have a host name of their own',
  cgroup_parent: 'the platform chooses the control group',
  cgroup: 'the platform chooses the control group',
  security_opt: 'the platform chooses the security profile',
  sysctls: 'tasks change nothing of the kernel',
  external_links: 'tasks reach public addresses only',
};

/** Values of dangerous keys that ask for nothing. */
const HARMLESS: ReadonlySet<string> = new Set(['false', '[]', '{}', 'null', '""']);

type Service = Readonly<Record<string, unknown>>;

/** Signals a value that is not allowed; `path` is where it stands. */
class Refusal extends Error {}

/**
 * Reads a compose file as batch jobs: each service is one. What says how often and under which limits it is run stands
 * as a key of the service, or as a label of it with the same name (also behind a prefix and a dot). Keys that mean
 * nothing here are named in the warnings; those that would lead out of the sandbox are refused. Pure.
 */
export function composeJobs(content: unknown): ComposeJobs {
  const services = mapOf(mapOf(content)?.['services']);
  if (!services || Object.keys(services).length === 0) {
    return { kind: 'refused', message: '"services" names no service; add one' };
  }
  const warnings: string[] = [];
  try {
    for (const key of Object.keys(mapOf(content) ?? {})) {
      if (!['services', 'version', 'name'].includes(key)) warnings.push(`"${key}" means nothing for jobs`);
    }
    const jobs = Object.entries(services).map(([name, service]) => toJob(name, mapOf(service) ?? {}, warnings));
    return { kind: 'jobs', jobs, warnings };
  } catch (error) {
    if (error instanceof Refusal) return { kind: 'refused', message: error.message };
    throw error;
  }
}

function toJob(name: string, service: Service, warnings: string[]): NamedJob {
  const at = `services.${name}`;
  const labels = labelsOf(at, service['labels']);
  checkDanger(at, service);
  const short = (key: string) => key.slice(key.lastIndexOf('.') + 1);
  const used = new Set<string>();
  // A key of the service counts more than a label.
  const said = (key: string): unknown => {
    used.add(key);
    if (service[key] !== undefined) return service[key];
    const label = Object.keys(labels).find((candidate) => short(candidate) === key);
    return label === undefined ? undefined : labels[label];
  };
  const deploy = mapOf(service['deploy']) ?? {};
  const limits = mapOf(mapOf(deploy['resources'])?.['limits']) ?? {};
  const image = said('image');
  if (typeof image !== 'string' || image === '') {
    throw new Refusal(`"${at}.image" is missing: a job needs an image that is built already`);
  }
  const count = wholeNumber(`${at}.scale`, said('scale') ?? deploy['replicas'], 1);
  const retries = wholeNumber(`${at}.retry_count`, said('retry_count'), 0);
  const parallelism = wholeNumber(`${at}.parallelism`, said('parallelism') ?? deploy['max_concurrent'], 1);
  const memory = said('mem_limit') ?? limits['memory'];
  const cpu = cpuOf(at, said('cpus') ?? limits['cpus'], said('cpu_shares'));
  const env = environmentOf(at, said('environment'));
  const command = commandOf(at, said('entrypoint'), said('command'));
  const after = dependsOn(said('depends_on'));
  const timeout = said('timeout');
  const spec: Record<string, unknown> = {
    image,
    command,
    tasks: count,
    retries,
    parallelism,
    cleanup: cleanupOf(at, said('remove_containers')),
    memory: memory === undefined ? undefined : sizeOf(`${at}.mem_limit`, memory),
    cpu,
    pids: wholeNumber(`${at}.pids_limit`, said('pids_limit'), 8),
    readOnlyRootFilesystem: service['read_only'] === false ? false : undefined,
    network: service['network_mode'] === 'none' ? 'none' : undefined,
    timeout: timeout === undefined ? undefined : textOf(timeout),
    env: Object.keys(env).length > 0 ? env : undefined,
    after: after.length > 0 ? after : undefined,
    labels: otherLabels(labels, used, short),
  };
  const known = new Set([
    ...used,
    ...Object.keys(DANGEROUS),
    'labels',
    'deploy',
    'read_only',
    'network_mode',
    'container_name',
  ]);
  for (const key of Object.keys(service)) {
    if (!known.has(key)) warnings.push(`"${at}.${key}" means nothing for jobs`);
  }
  return {
    name: jobName(name),
    spec: Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined)),
  };
}

function checkDanger(at: string, service: Service): void {
  for (const [key, why] of Object.entries(DANGEROUS)) {
    if (!(key in service) || HARMLESS.has(JSON.stringify(service[key]))) continue;
    throw new Refusal(`"${at}.${key}" is not allowed: ${why}`);
  }
  const mode = service['network_mode'];
  if (mode !== undefined && mode !== 'none' && mode !== 'bridge' && mode !== 'default') {
    throw new Refusal(`"${at}.network_mode" is ${JSON.stringify(mode)} but must be "bridge" or "none"`);
  }
}

function commandOf(at: string, entrypoint: unknown, command: unknown): readonly string[] | undefined {
  const words = (key: string, value: unknown): readonly string[] => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((word) => textOf(word));
    const split = splitCommand(textOf(value));
    if (!split) throw new Refusal(`"${at}.${key}" has a quote that is not closed`);
    return split;
  };
  if (words('entrypoint', entrypoint).length > 0) {
    throw new Refusal(`"${at}.entrypoint" is not allowed: put the whole command into "command"`);
  }
  const all = words('command', command);
  return all.length > 0 ? all : undefined;
}

function environmentOf(at: string, value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (!Array.isArray(value)) {
    const map = mapOf(value);
    if (!map) throw new Refusal(`"${at}.environment" must map names to values, or be a list of NAME=VALUE`);
    return Object.fromEntries(Object.entries(map).map(([name, one]) => [name, one === null ? '' : textOf(one)]));
  }
  return Object.fromEntries(
    value.map((pair) => {
      const text = textOf(pair);
      const equals = text.indexOf('=');
      if (equals < 1) throw new Refusal(`"${at}.environment" has "${text}", which must be NAME=VALUE`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function labelsOf(at: string, value: unknown): Readonly<Record<string, string>> {
  return environmentOf(`${at} (labels)`, value);
}

/** Labels that say nothing about the run are the job's. */
function otherLabels(
  labels: Readonly<Record<string, string>>,
  used: ReadonlySet<string>,
  short: (key: string) => string,
): Readonly<Record<string, string>> | undefined {
  const rest = Object.entries(labels).filter(([key]) => !used.has(short(key)));
  return rest.length > 0 ? Object.fromEntries(rest) : undefined;
}

function cleanupOf(at: string, value: unknown): 'always' | 'on-success' | 'never' | undefined {
  if (value === undefined) return undefined;
  const word = textOf(value).toLowerCase().replaceAll(/[-_ ]/g, '');
  if (word === 'always' || word === 'true') return 'always';
  if (word === 'onsuccess' || word === 'success') return 'on-success';
  if (word === 'never' || word === 'false') return 'never';
  throw new Refusal(
    `"${at}.remove_containers" is ${JSON.stringify(value)} but must be "always", "on-success" or "never"`,
  );
}

function cpuOf(at: string, cpus: unknown, shares: unknown): number | undefined {
  const number = (key: string, value: unknown): number => {
    const found = Number(textOf(value));
    if (Number.isFinite(found) && found > 0) return found;
    throw new Refusal(`"${at}.${key}" is ${JSON.stringify(value)} but must be a number above 0`);
  };
  if (cpus !== undefined) return number('cpus', cpus);
  if (shares === undefined) return undefined;
  // A share is relative; here every task has a limit, so the usual weight is one core.
  return Math.max(0.01, Number((number('cpu_shares', shares) / SHARES_A_CORE).toFixed(2)));
}

/** Sizes there are `512m`, `1g`, `64kb`, all of them powers of 1024. */
function sizeOf(at: string, value: unknown): string {
  const match = /^(\d+(?:\.\d+)?)\s*(b|k|kb|m|mb|g|gb|ki|mi|gi|)$/i.exec(textOf(value).trim());
  if (!match) throw new Refusal(`"${at}" is ${JSON.stringify(value)} but must be a size such as "512m"`);
  const unit = (match[2] ?? '').toLowerCase()[0] ?? 'b';
  return unit === 'b' ? `${match[1]}` : `${match[1]}${unit.toUpperCase()}i`;
}

function dependsOn(value: unknown): readonly string[] {
  const names = Array.isArray(value) ? value.map((name) => textOf(name)) : Object.keys(mapOf(value) ?? {});
  return names.map((name) => jobName(name));
}

function wholeNumber(at: string, value: unknown, min: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  const text = textOf(value);
  if (/^\d{1,9}$/.test(text) && Number(text) >= min) return Number(text);
  throw new Refusal(`"${at}" is ${JSON.stringify(value)} but must be a whole number from ${min}`);
}

/** Services may be called what jobs may not. */
function jobName(service: string): string {
  if (NAME_PATTERN.test(service)) return service;
  const name = service
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);
  if (NAME_PATTERN.test(name)) return name;
  throw new Refusal(`the service "${service}" has a name that no job can have`);
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new Refusal(`${JSON.stringify(value)} stands where a text or a number must be`);
}

function mapOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
