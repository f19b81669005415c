import type { LogLine } from '@ebb/contract';
import type { Finding } from '@ebb/contract';

/** Labels every instance carries, so that a restarted server knows what it finds. */
export interface InstanceLabels {
  /** Id of the data directory's installation; nobody touches instances of another. */
  readonly installation: string;
  readonly namespace: string;
  readonly function: string;
  readonly version: number;
  /** Id of the server process that made it. */
  readonly generation: string;
}

/** Code that a managed runtime serves. */
export interface CodeSource {
  readonly kind: 'code';
  readonly runtime: 'node';
  /** Absolute path of the read-only code directory on this host. */
  readonly codeDir: string;
}

/** An image that serves HTTP by itself. */
export interface ImageSource {
  readonly kind: 'image';
  readonly image: string;
  /** Digest or id the image was pinned to at deploy. */
  readonly digest?: string;
  readonly command?: readonly string[];
  readonly port: number;
  /** Whether the image knows its port by itself, and `PORT` may mean something else to what is in it. */
  readonly knowsPort?: true;
}

/** What an engine may use of the host for one instance. */
export interface InstanceLimits {
  readonly memoryBytes: number;
  readonly cpuCores: number;
  readonly pids: number;
  readonly tmpBytes: number;
}

/** Everything an engine is told to make one instance; it reads nothing else (E2). */
export interface InstanceSpec {
  /** Chosen by the caller and unique in the installation, `[a-z0-9-]{1,63}`: asking twice for one id makes one instance. */
  readonly id: string;
  readonly labels: InstanceLabels;
  readonly source: CodeSource | ImageSource;
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, Uint8Array>>;
  readonly limits: InstanceLimits;
  /** Number of the namespace, from which an engine derives its user id. */
  readonly tenant: number;
  /** `image-unless-root`: the image's own, or the namespace's where that is root. */
  readonly user: 'tenant' | 'image' | 'image-unless-root';
  readonly network: 'egress' | 'none';
  readonly readOnlyRootFilesystem: boolean;
}

/**
 * What a spare is made from: an instance of a runtime without code, made ahead of time. What is named here cannot be
 * changed once it runs; the rest comes with {@link Engine.specialise}.
 */
export interface SpareSpec {
  /** As {@link InstanceSpec.id}; the instance keeps it when it becomes one of a version. */
  readonly id: string;
  readonly labels: Pick<InstanceLabels, 'installation' | 'generation'>;
  readonly runtime: 'node';
  /** Limits until it is specialised; JavaScript's heap is laid out for this memory for good. */
  readonly limits: InstanceLimits;
  readonly network: 'egress' | 'none';
  readonly readOnlyRootFilesystem: boolean;
}

/** Where an instance is spoken to. */
export type Target =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** What an engine knows of an instance. */
export interface Instance {
  readonly id: string;
  readonly labels: InstanceLabels;
  readonly target: Target;
  readonly state: 'running' | 'frozen' | 'exited';
  /** Present while it belongs to no version yet; its labels then name no function. */
  readonly spare?: true;
  readonly exit?: InstanceExit;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
}

/** How an instance ended. */
export interface InstanceExit {
  readonly code?: number;
  readonly signal?: string;
  readonly outOfMemory: boolean;
}

/** A hint that something happened; the truth is in {@link Engine.list}. */
export interface EngineEvent {
  readonly kind: 'exited' | 'resync';
  /** Absent for `resync`: list everything again. */
  readonly id?: string;
  readonly exit?: InstanceExit;
}

/** A line an instance wrote, as the engine saw it. */
export type EngineLogLine = Pick<LogLine, 'at' | 'source' | 'text' | 'callId'>;

/** What an instance uses now. */
export interface InstanceStats {
  readonly memoryBytes: number;
  /** CPU time used since the instance started, in milliseconds. */
  readonly cpuMs: number;
  readonly pids?: number;
}

/** What an engine can do; asking for more is UNSUPPORTED_BY_ENGINE, never a silent no-op. */
export interface EngineCapabilities {
  readonly images: boolean;
  readonly runtimes: readonly 'node'[];
  /** Whether an instance is kept from the host and from other instances. */
  readonly isolation: 'none' | 'container';
  readonly freeze: boolean;
  readonly limits: boolean;
  /** Whether it can make spares; a host may still lack what that needs, which the first {@link Engine.createSpare} says. */
  readonly spares: boolean;
}

/** Labels of the container of a task, so that a restarted server knows what it finds. */
export interface TaskLabels {
  readonly installation: string;
  readonly namespace: string;
  /** Id of the job. */
  readonly job: string;
  /** Index of the task. */
  readonly task: number;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  /** Id of the server process that made it. */
  readonly generation: string;
}

/** Everything an engine is told to run one attempt of a task; it reads nothing else (E2). */
export interface TaskSpec extends Pick<
  InstanceSpec,
  'env' | 'secrets' | 'limits' | 'tenant' | 'user' | 'network' | 'readOnlyRootFilesystem'
> {
  /** As {@link InstanceSpec.id}; each attempt has one of its own. */
  readonly id: string;
  readonly labels: TaskLabels;
  readonly source: Omit<ImageSource, 'kind' | 'port'>;
  /** Whether something is sent to its standard input. */
  readonly hasInput: boolean;
  /** Time between SIGTERM and SIGKILL when it is stopped. */
  readonly graceMs: number;
  /** What becomes of the container once it has ended: it is removed, removed after exit code 0, or kept for {@link TaskRuns.stop}. */
  readonly cleanup: 'always' | 'on-success' | 'never';
  /**
   * Tasks of one group follow each other in what takes long to make, such as network namespaces, and are never in the
   * same one at once. For those that many others like them come after.
   */
  readonly group?: string;
}

/** What goes in and comes out of a task while it runs. */
export interface TaskIo {
  /** Sent to its standard input, which ends with it; only as fast as the task reads. */
  readonly input?: AsyncIterable<Uint8Array> | Uint8Array | undefined;
  /** A piece of what it writes, in order; nothing more is read before a returned promise resolves. */
  readonly onOutput: (source: 'stdout' | 'stderr', chunk: Uint8Array) => void | Promise<void>;
  /** Aborts to stop listening: the run rejects with the reason, and the task runs on for whoever joins it. */
  readonly leave?: AbortSignal | undefined;
}

/** A container of a task that there is. */
export interface FoundTask {
  readonly id: string;
  readonly labels: TaskLabels;
  /** `created`: it was made and is not started, or never will be. */
  readonly state: 'created' | 'running' | 'exited';
}

/** The part of an engine that runs containers to their end, hardened and limited as instances are. */
export interface TaskRuns {
  /**
   * Makes and starts a container, and resolves when it has ended and all it wrote was told. Aborting `signal` stops it
   * (SIGTERM, after the grace SIGKILL) and then resolves too. Throws START_FAILED when the image cannot be started,
   * IMAGE_NOT_FOUND, IMAGE_REFUSED, and ENGINE_ errors: then nobody knows how it ended, and what is left is in
   * {@link list}.
   */
  run(spec: TaskSpec, io: TaskIo, signal: AbortSignal): Promise<InstanceExit>;
  /** Joins a task that another server started, from its first output on; otherwise as {@link run}. */
  join(
    found: FoundTask,
    how: Pick<TaskSpec, 'graceMs' | 'cleanup'>,
    io: TaskIo,
    signal: AbortSignal,
  ): Promise<InstanceExit>;
  /** The containers of tasks of this installation there really are, ended ones included. */
  list(): Promise<readonly FoundTask[]>;
  /** Ends a task and removes every trace of it; as {@link Engine.stop}. */
  stop(id: string, options: { readonly graceMs: number }): Promise<void>;
  /** Says that no more tasks of a group come. */
  endGroup(group: string): void;
}

/** How an engine is. */
export interface EngineStatus {
  readonly ok: boolean;
  /** Version or the reason it does not answer. */
  readonly message: string;
  /** What the host offers and lacks, for `ebb doctor`. */
  readonly findings: readonly Finding[];
}

/**
 * The substrate that runs instances. Every call has a deadline of its own and throws ENGINE_UNAVAILABLE,
 * ENGINE_TIMEOUT or ENGINE_FAILED when the substrate fails, whatever else is named below.
 */
export interface Engine extends AsyncDisposable {
  readonly name: 'process' | 'docker' | 'memory';
  readonly capabilities: EngineCapabilities;
  /** Asks the substrate how it is. Never throws. */
  probe(signal?: AbortSignal): Promise<EngineStatus>;
  /** Prepares what instances share (network, runtime image). Idempotent; called once before the first create. */
  prepare(signal?: AbortSignal): Promise<void>;
  /**
   * Makes sure an image is on the host, pulling it if it is absent, and checks it. Returns its digest or id.
   * Throws IMAGE_NOT_FOUND, IMAGE_REFUSED, UNSUPPORTED_BY_ENGINE.
   */
  resolveImage(image: string, signal?: AbortSignal): Promise<string>;
  /**
   * Makes and starts an instance; it is running, not yet ready, when this resolves. Asked again with the id of a
   * living instance it returns that one. After a failure nothing of the instance is left behind.
   */
  create(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance>;
  /**
   * Makes and starts an instance of a runtime that has no code yet; otherwise as {@link create}. It may be specialised
   * once {@link awaitReady} has found its socket. Throws UNSUPPORTED_BY_ENGINE where the host lacks what spares need.
   */
  createSpare(spec: SpareSpec, signal?: AbortSignal): Promise<Instance>;
  /**
   * Makes a spare the instance of `spec`, whose id is the spare's: its code, environment, secrets and limits are in
   * force and the handler begins to load when this resolves. It is ready once READY_PATH answers 2xx. Throws
   * ENGINE_FAILED when there is no such spare, or what {@link create} throws; then the spare is to be stopped, because
   * what it holds is not known. No instance is ever specialised twice.
   */
  specialise(spec: InstanceSpec, signal?: AbortSignal): Promise<Instance>;
  /** The instances of this installation there really are, exited ones not yet stopped included. */
  list(): Promise<readonly Instance[]>;
  /**
   * Ends an instance: SIGTERM, after `graceMs` SIGKILL, then removes every trace of it. Resolves once the exit was
   * seen (E3). An unknown id resolves at once.
   */
  stop(id: string, options: { readonly graceMs: number }): Promise<void>;
  /**
   * Resolves when the server listens to which that of an image made for OpenFaaS passes calls on, or where there is none
   * or none can be seen; after a while in any case. Rejects with the signal's reason. Absent where there are no images.
   */
  awaitInner?(id: string, signal: AbortSignal): Promise<void>;
  /** Forgets an instance without ending it: another server has it from now on. `list` finds it anew. */
  release(id: string): void;
  /**
   * Takes the CPU away from all of an instance; memory, timers and connections stay. Once it resolves, `list` says
   * `frozen`, also to the next server. Freezing twice is as good as once. One that is being stopped is refused.
   */
  freeze(id: string): Promise<void>;
  /** Gives it back; what runs is as good as thawed. `stop` thaws by itself. */
  thaw(id: string): Promise<void>;
  /**
   * What the instance wrote, oldest first; with `follow` until it ended or `signal` aborts. `sinceMs` is a moment
   * (Unix epoch, milliseconds): a restarted server continues where it stopped.
   */
  logs(
    id: string,
    options: { readonly follow: boolean; readonly sinceMs?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<EngineLogLine>;
  stats(id: string): Promise<InstanceStats>;
  /** Hints until `signal` aborts. Never throws: a broken stream is re-opened and announced by `resync`. */
  events(signal: AbortSignal): AsyncIterable<EngineEvent>;
  /** Absent where the engine runs no images. */
  readonly tasks?: TaskRuns;
}
