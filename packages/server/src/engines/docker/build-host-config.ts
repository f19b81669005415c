import { createHash } from 'node:crypto';
import type Dockerode from 'dockerode';
import { SECRETS_PATH } from '@ebb/contract';
import type { InstanceSpec } from '../engine.ts';
import { SOCKET_NAME, type InstanceDir } from '../instance-dir.ts';
import { toDockerLabels } from './instance-labels.ts';
import type { PreparedNetwork } from './prepared-networks.ts';
import { seccompProfile } from './seccomp-profile.ts';

/** Where managed instances find the server that runs the handler. */
const RUNTIME_PATH = '/opt/ebb/runtime';
/** Where managed instances find their code. */
export const CODE_PATH = '/function';
/** Where instances made from spares find what earlier ones of their version compiled. */
export const COMPILED_PATH = '/opt/ebb/compiled';
/** Where managed instances put their socket. */
const SOCKET_PATH = '/run/ebb';
/** Path of the interpreter in images Ebb makes; pulled ones have it there too. */
export const NODE_PATH = '/usr/local/bin/node';

/** First user id given to a namespace's instances; high enough to belong to nobody on the host. */
const FIRST_TENANT_UID = 200_000;
/** First user id given to spares, far above those of namespaces. */
const FIRST_SPARE_UID = 2 ** 30;
/** The engine refuses to make a container with less memory. */
export const MIN_MEMORY_BYTES = 6 * 2 ** 20;
const SHM_BYTES = 16 * 2 ** 20;

/** What a container's settings depend on besides the instance. */
export interface HostFacts {
  readonly cpus: number;
  readonly cgroupVersion: 1 | 2;
  /** Whether limits of a running container may be written beside the engine: nobody else keeps them. */
  readonly writesCgroups: boolean;
  /** Whether the daemon confines containers with AppArmor. */
  readonly appArmor: boolean;
}

/** The parts of an image that a container's settings depend on. */
export interface ImageFacts {
  /** Id of the image; what is run, so that a moved tag changes nothing. */
  readonly id: string;
  /** User the image names, empty for root. */
  readonly user: string;
  /** Directories the image declares as volumes. */
  readonly volumes: readonly string[];
}

/** Everything a container is built from. */
export interface ContainerInput {
  readonly spec: InstanceSpec;
  readonly image: ImageFacts;
  readonly host: HostFacts;
  readonly dir: InstanceDir;
  /** Name of the network to join; not used by code that asked for none. */
  readonly network: string;
  /** A network namespace that was made for this instance alone; it is joined instead of the network. */
  readonly preparedNetwork?: PreparedNetwork | undefined;
  readonly runtime: { readonly directory: string; readonly entry: string };
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** Present for a spare: where code and compiled code are to be mounted later, below the instance's directory. */
  readonly spare?: SpareDirs | undefined;
}

/** Directories of a spare on the host, empty until it is specialised. */
export interface SpareDirs {
  readonly codeDir: string;
  readonly compiledDir: string;
}

/** The engine's settings of a container, with the ones its client's types lack. */
export type ContainerConfig = Omit<Dockerode.ContainerCreateOptions, 'HostConfig'> & {
  readonly HostConfig: Dockerode.HostConfig & { readonly CgroupnsMode: 'private' };
};

/** Name of an instance's container: known before it exists, so that a container whose creation was denied is found. */
export function containerName(installation: string, id: string): string {
  return `ebb-${installation}-${id}`;
}

/** Number of the user that instances of a namespace run as. */
export function tenantUid(tenant: number): number {
  return FIRST_TENANT_UID + tenant;
}

/**
 * Number of the user that a spare runs as, from its id. The namespace is not known when it is made, and one number for
 * all would have strangers share what the kernel counts by user.
 */
export function spareUid(id: string): number {
  return FIRST_SPARE_UID + (createHash('sha256').update(id).digest().readUInt32BE() >>> 3);
}

/** The number of the user that an instance's container runs as, unless its image says. */
function uidOf({ spec, spare }: ContainerInput): number {
  return spare ? spareUid(spec.id) : tenantUid(spec.tenant);
}

/**
 * The settings of an instance's container, built field by field into a fresh object: nothing a user wrote is merged
 * in, and what is not named here cannot be asked for (E2).
 */
export function buildContainerConfig(input: ContainerInput): ContainerConfig {
  const { spec } = input;
  const uid = uidOf(input);
  return {
    name: containerName(spec.labels.installation, spec.id),
    Image: input.image.id,
    User: spec.user === 'tenant' ? `${uid}:${uid}` : input.image.user,
    Env: environment(input),
    ...commandOf(input),
    Labels: toDockerLabels(spec, input.createdAt, {
      isSpare: input.spare !== undefined,
      network: input.preparedNetwork,
    }),
    AttachStdin: false,
    OpenStdin: false,
    Tty: false,
    // The engine would run a health check inside the instance; readiness is the pool's business.
    Healthcheck: { Test: ['NONE'] },
    StopSignal: 'SIGTERM',
    HostConfig: buildHostConfig(input),
  };
}

/** The hardened part of {@link buildContainerConfig}. */
function buildHostConfig(input: ContainerInput): ContainerConfig['HostConfig'] {
  const { spec, host } = input;
  const memoryBytes = Math.max(spec.limits.memoryBytes, MIN_MEMORY_BYTES);
  return {
    CapDrop: ['ALL'],
    CapAdd: [],
    Privileged: false,
    SecurityOpt: [
      'no-new-privileges',
      `seccomp=${JSON.stringify(seccompProfile())}`,
      ...(host.appArmor ? ['apparmor=docker-default'] : []),
    ],
    ReadonlyRootfs: spec.readOnlyRootFilesystem,
    Tmpfs: scratchDirectories(input),
    Mounts: mounts(input),
    Memory: memoryBytes,
    // Equal to the memory limit: no swap.
    MemorySwap: memoryBytes,
    ...(host.cgroupVersion === 1 ? { MemorySwappiness: 0 } : {}),
    OomKillDisable: false,
    NanoCpus: Math.round(Math.min(Math.max(spec.limits.cpuCores, 0.01), host.cpus) * 1e9),
    PidsLimit: spec.limits.pids,
    Ulimits: [
      { Name: 'nofile', Soft: 1024, Hard: 4096 },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
    ShmSize: SHM_BYTES,
    IpcMode: 'private',
    PidMode: '',
    UTSMode: '',
    CgroupnsMode: 'private',
    NetworkMode: networkMode(input),
    // The engine's own name server would answer for a network that leads nowhere (CVE-2024-29018).
    Dns: spec.network === 'none' ? ['127.0.0.1'] : [],
    PublishAllPorts: false,
    Devices: [],
    LogConfig: {
      Type: 'local',
      // Blocking mode would stall the function while the daemon is slow.
      Config: { 'max-size': '5m', 'max-file': '2', compress: 'false', mode: 'non-blocking', 'max-buffer-size': '1m' },
    },
    RestartPolicy: { Name: 'no' },
    AutoRemove: false,
    Init: true,
  };
}

function networkMode({ spec, network, preparedNetwork }: ContainerInput): string {
  if (spec.network === 'none' && spec.source.kind === 'code') return 'none';
  return preparedNetwork === undefined ? network : `container:${preparedNetwork.holder}`;
}

/** The environment of an instance with code, as its container or a specialised spare gets it. */
export function codeEnvironment(env: InstanceSpec['env']): Record<string, string> {
  // The platform's own come last: the runtime could not start if a function replaced them.
  return {
    HOME: '/tmp',
    ...env,
    EBB_SOCKET: `${SOCKET_PATH}/${SOCKET_NAME}`,
    EBB_CODE_DIR: CODE_PATH,
    EBB_SECRETS_DIR: SECRETS_PATH,
  };
}

function environment({ spec, spare }: ContainerInput): string[] {
  const env =
    spec.source.kind === 'code'
      ? { ...codeEnvironment(spec.env), ...(spare ? { EBB_SPARE: '1' } : {}) }
      : {
          ...spec.env,
          ...(spec.source.knowsPort ? {} : { PORT: String(spec.source.port) }),
          EBB_SECRETS_DIR: SECRETS_PATH,
        };
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

function commandOf({
  spec,
  runtime,
}: ContainerInput): Pick<Dockerode.ContainerCreateOptions, 'Entrypoint' | 'Cmd' | 'WorkingDir'> {
  if (spec.source.kind === 'code') {
    return { Entrypoint: [NODE_PATH], Cmd: [`${RUNTIME_PATH}/${runtime.entry}`], WorkingDir: CODE_PATH };
  }
  return spec.source.command === undefined ? {} : { Cmd: [...spec.source.command] };
}

function scratchDirectories(input: ContainerInput): Record<string, string> {
  const { spec, image } = input;
  const options = `rw,nosuid,nodev,size=${spec.limits.tmpBytes}`;
  const scratch: Record<string, string> = { '/tmp': `${options},mode=1777` };
  // A declared volume would be an unlimited writable directory on the host's disk.
  // Runc gives it the mode of the directory it covers, whatever mode is asked for, so it must belong to the user.
  const uid = uidOf(input);
  const owner = spec.user === 'tenant' ? `,uid=${uid},gid=${uid}` : '';
  for (const path of image.volumes) scratch[path] = `${options},mode=1777${owner}`;
  return scratch;
}

function mounts({ spec, dir, runtime, spare }: ContainerInput): Dockerode.MountSettings[] {
  const secrets = bind(dir.secretsDir, SECRETS_PATH, true);
  if (spec.source.kind === 'image') return [secrets];
  return [
    bind(runtime.directory, RUNTIME_PATH, true),
    // What the host mounts on these later appears in the container, and nothing the other way round.
    ...(spare
      ? [bind(spare.codeDir, CODE_PATH, true, 'rslave'), bind(spare.compiledDir, COMPILED_PATH, true, 'rslave')]
      : [bind(spec.source.codeDir, CODE_PATH, true)]),
    bind(dir.socketDir, SOCKET_PATH, false),
    secrets,
  ];
}

function bind(
  source: string,
  target: string,
  readOnly: boolean,
  propagation: 'rprivate' | 'rslave' = 'rprivate',
): Dockerode.MountSettings {
  return {
    Type: 'bind',
    Source: source,
    Target: target,
    ReadOnly: readOnly,
    BindOptions: { Propagation: propagation },
  };
}
