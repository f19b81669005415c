/** The interfaces modules call each other by. Implementations are handed over by the composition root. */
import type { Readable } from 'node:stream';
import type {
  AliasSpec,
  CapturedRequest,
  CodeResource,
  ColdStart,
  DeadReason,
  Destination,
  FileChanges,
  FunctionName,
  FunctionSpec,
  FunctionState,
  FunctionResource,
  InstanceResource,
  InvocationPage,
  InvocationResource,
  InvocationState,
  LeasedItem,
  LogLine,
  LogQuery,
  LogSource,
  NamespaceLimits,
  NamespaceResource,
  Purged,
  QueueResource,
  Redriven,
  ResolvedLimits,
  RolloutResource,
  RolloutSpec,
  ScalingResource,
  SecretResource,
  Settled,
  SigningKeyResource,
  SubmitCall,
  VersionKey,
} from '@ebb/contract';
import type { EbbError } from './errors.ts';

/** An immutable version of a function: what an instance runs and under which limits (V1). */
export interface Version {
  readonly key: VersionKey;
  readonly namespace: string;
  readonly name: string;
  readonly version: number;
  /** `sha256:` digest over the spec and the code or image digest; equal digests mean equal versions. */
  readonly digest: string;
  readonly spec: FunctionSpec;
  readonly limits: ResolvedLimits;
  /** Digest of the code bundle of a managed runtime. */
  readonly code?: string;
  /** Digest the image had at deploy. */
  readonly imageDigest?: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

/** A name for one version of a function, or for a split of calls between several. */
export interface Alias {
  readonly name: string;
  readonly spec: AliasSpec;
  /** Milliseconds since the Unix epoch. */
  readonly updatedAt: number;
}

/** A function as the registry holds it. Replaced as a whole by every change, never changed. */
export interface FunctionRecord {
  readonly namespace: string;
  readonly name: string;
  /** The version that gets most of what the bare name is called with; of equals the newest. */
  readonly live: Version;
  /** `live` first, the others by name. */
  readonly aliases: readonly Alias[];
  /** The versions that serve: those an alias refers to, by number. */
  readonly versions: readonly Version[];
  /**
   * What a rollback goes back to: the version that last had all calls of `live` for itself. While `live` is split that
   * is the one the split began from, which may still be the one with most of the calls.
   */
  readonly before?: number;
  /** How many instances somebody asked for since the last deploy, in place of the least number that the spec says. */
  readonly replicas?: AskedReplicas;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A number of instances that somebody asked for. */
export interface AskedReplicas {
  readonly count: number;
  /** Milliseconds since the Unix epoch. */
  readonly askedAt: number;
}

/** What was said of a version when it was published. Kept beside it, since the version never changes (V1). */
export interface VersionNote {
  readonly description?: string;
  /** Milliseconds since the Unix epoch. */
  readonly publishedAt: number;
}

/** What changed in the registry. */
export type RegistryChange =
  | { readonly kind: 'changed'; readonly record: FunctionRecord; readonly previous?: FunctionRecord }
  | { readonly kind: 'removed'; readonly previous: FunctionRecord };

/** A new version before it is live. */
export interface DeployInput {
  readonly namespace: string;
  readonly name: string;
  readonly spec: FunctionSpec;
  readonly code?: string;
}

/** How a deploy is done. */
export interface DeployOptions {
  /** Whether a first instance must have become ready before the version serves. */
  readonly probe: boolean;
  /** False to store and prove the version without giving it calls; a function's first version serves anyhow. Default: true. */
  readonly serve?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** When the deploy was asked for, if not now: a number of instances asked for since then stays. */
  readonly askedAt?: number | undefined;
  /** Called once everything the deploy names was found, its image included, before anything is started. */
  readonly onAdmitted?: (() => void) | undefined;
}

/** What a version is given when it is published. */
export interface PublishOptions {
  readonly description?: string | undefined;
  readonly alias?: string | undefined;
}

/** What a deploy came to; `unchanged` made no version. */
export interface DeployOutcome {
  readonly record: FunctionRecord;
  /** The version that was asked for: the new one, or the one that was there. */
  readonly version: Version;
  readonly change: 'created' | 'updated' | 'unchanged';
}

/**
 * Functions and their versions. Reads are synchronous and from memory, so the warm path may use them; writes
 * are on disk when their promise resolves.
 */
export interface FunctionRegistry {
  /** The function a name means now, or undefined. */
  resolve(namespace: string, name: string): FunctionRecord | undefined;
  /** Whether there is a namespace of that name; no longer from the moment on in which its removal begins. */
  hasNamespace(namespace: string): boolean;
  /** Every function, or those of one namespace, by name. */
  list(namespace?: string): readonly FunctionRecord[];
  /** The versions of a function, newest first. Throws FUNCTION_NOT_FOUND. */
  versions(namespace: string, name: string): Promise<readonly Version[]>;
  /** One version. Throws FUNCTION_NOT_FOUND, VERSION_NOT_FOUND. */
  version(namespace: string, name: string, version: number): Promise<Version>;
  /**
   * The version a {@link put} of the input would find instead of making one, or undefined; changes nothing. Throws what
   * a put throws before it makes one.
   */
  find(input: DeployInput, signal?: AbortSignal): Promise<Version | undefined>;
  /**
   * Freezes the input into a version, proves it through the {@link DeployGate}, then points `live` at it. Deploys of
   * one function are done one after the other. Input equal to a stored version makes no other one. Throws NAMESPACE_NOT_FOUND, SECRET_NOT_FOUND, CODE_NOT_FOUND, and
   * whatever the gate throws; then the old version keeps serving and nothing of the new one stays.
   */
  put(input: DeployInput, options: DeployOptions): Promise<DeployOutcome>;
  /**
   * Makes an alias or replaces what it says; in force when the promise resolves. Throws FUNCTION_NOT_FOUND,
   * VERSION_NOT_FOUND, SECRET_NOT_FOUND when a version needs one that is gone, ALIAS_NAME_INVALID, WEIGHTS_INVALID. With
   * `before` it says what a rollback goes back to from now on.
   */
  setAlias(
    namespace: string,
    name: string,
    alias: string,
    spec: AliasSpec,
    options?: { readonly before: number | undefined },
  ): Promise<FunctionRecord>;
  /** Removes an alias. Throws FUNCTION_NOT_FOUND, ALIAS_NOT_FOUND, and ALIAS_REQUIRED for `live`. */
  removeAlias(namespace: string, name: string, alias: string): Promise<FunctionRecord>;
  /**
   * Points `live` wholly at the version that had all calls before, or at `to`; in force when the promise resolves. A
   * deploy under way does not hold it up; doing it twice leads forward again. Throws FUNCTION_NOT_FOUND,
   * NOTHING_TO_ROLL_BACK, VERSION_NOT_FOUND, SECRET_NOT_FOUND.
   */
  rollback(namespace: string, name: string, to?: number): Promise<FunctionRecord>;
  /** What was said of a function's versions, by number. Throws FUNCTION_NOT_FOUND. */
  notes(namespace: string, name: string): Promise<ReadonlyMap<number, VersionNote>>;
  /**
   * Says what a version is, and points `alias` wholly at it if one is given. Throws FUNCTION_NOT_FOUND,
   * VERSION_NOT_FOUND, SECRET_NOT_FOUND, ALIAS_NAME_INVALID.
   */
  publish(namespace: string, name: string, version: number, options: PublishOptions): Promise<FunctionRecord>;
  /** Removes a version. Throws FUNCTION_NOT_FOUND, VERSION_NOT_FOUND, VERSION_IN_USE. */
  removeVersion(namespace: string, name: string, version: number): Promise<void>;
  /**
   * Says how many instances the function's main version has at least from now on, 0 for none until the next call;
   * undefined for what its spec says. The next deploy ends it. Throws FUNCTION_NOT_FOUND, STORE_FAILED.
   */
  setReplicas(namespace: string, name: string, count: number | undefined): Promise<FunctionRecord>;
  /** Removes a function with all its versions. Throws FUNCTION_NOT_FOUND. */
  remove(namespace: string, name: string): Promise<void>;
  /** Calls `listener` after every change, in order, until the returned object is disposed. */
  watch(listener: (change: RegistryChange) => void): Disposable;
}

/** A deploy that was accepted and does not serve yet. */
export interface AcceptedDeploy {
  readonly input: DeployInput;
  /** Milliseconds since the Unix epoch. */
  readonly acceptedAt: number;
  /** Why the last attempt to carry it out failed. */
  readonly failure?: string | undefined;
}

/** Deploys that are accepted at once and carried out afterwards, however often the server is started meanwhile. */
export interface AcceptedDeploys {
  /** The deploy of a function that does not serve yet; undefined when none was accepted or it serves. */
  pending(namespace: string, name: string): AcceptedDeploy | undefined;
  /** All of them, or those of one namespace. */
  list(namespace?: string): readonly AcceptedDeploy[];
  /**
   * On disk when it resolves, in place of one that was accepted before. A function that has instances is served by them
   * until the first one of the new version is ready; any other has the new version at once. Throws CONFLICT where
   * `mode` is `create` and the function is there, FUNCTION_NOT_FOUND where it is `replace` and it is not, and what
   * {@link FunctionRegistry.put} throws before anything is started; then everything is as before.
   */
  accept(input: DeployInput, mode: 'create' | 'replace'): Promise<void>;
  /** Removes a function with its versions and what was accepted for it. Throws FUNCTION_NOT_FOUND. */
  remove(namespace: string, name: string): Promise<void>;
}

/** A deploy that may be rolled out step by step. */
export interface RolledDeployOutcome extends DeployOutcome {
  /** The rollout that began, or ran already; absent where the version serves already. */
  readonly rollout?: RolloutResource;
}

/** Rollouts of new versions. What changes one throws ROLLOUT_NOT_RUNNING where none is running. */
export interface Rollouts {
  /**
   * Deploys as {@link FunctionRegistry.put} does; with a `rollout`, calls move to the version step by step. What a
   * running rollout brings already is unchanged, and comes with that rollout. Throws ROLLOUT_RUNNING, LIVE_IS_SPLIT and
   * whatever the registry throws.
   */
  deploy(
    input: DeployInput,
    options: DeployOptions & { readonly rollout?: RolloutSpec | undefined },
  ): Promise<RolledDeployOutcome>;
  /** The last rollouts of a function, newest first. */
  list(namespace: string, name: string): Promise<readonly RolloutResource[]>;
  /** Keeps the weights as they are; a version that is worse is taken back all the same. */
  pause(namespace: string, name: string): Promise<RolloutResource>;
  resume(namespace: string, name: string): Promise<RolloutResource>;
  /** Gives the new version all calls, once the instances for them are ready, after 2 seconds at the latest. */
  promote(namespace: string, name: string): Promise<RolloutResource>;
  /** Gives the old version all calls now. */
  abort(namespace: string, name: string): Promise<RolloutResource>;
  /**
   * Aborts the rollout that is running, for a rollback by hand; one that is being taken back anyway is waited for.
   * Undefined where there is none, or where the new version got all calls before it could be aborted.
   */
  abortRunning(namespace: string, name: string): Promise<RolloutResource | undefined>;
  /** Throws ROLLOUT_RUNNING if a rollout is running or about to. */
  requireNone(namespace: string, name: string): void;
}

/** A version and the part of a function's calls that it is about to get, from 0 to 1. */
export interface ComingCalls {
  readonly version: Version;
  readonly share: number;
}

/** What the registry asks of the side that runs instances before a version goes live. */
export interface DeployGate {
  /**
   * Refuses what the engine cannot run, and resolves the image. Throws UNSUPPORTED_BY_ENGINE, IMAGE_NOT_FOUND,
   * IMAGE_REFUSED or an ENGINE_ error.
   */
  admit(spec: FunctionSpec, signal?: AbortSignal): Promise<{ readonly imageDigest?: string }>;
  /** Starts one instance of the version and keeps it ready. Throws DEPLOY_FAILED with the last log lines. */
  prove(version: Version, signal?: AbortSignal): Promise<void>;
  /**
   * Has versions that are about to get a share of a function's calls start the instances these take now, so that they
   * need not wait for them; resolves when they are ready, at the latest after `limitMs`. Never throws for one that does
   * not start.
   */
  warm(record: FunctionRecord, coming: readonly ComingCalls[], limitMs: number): Promise<void>;
  /**
   * Stops whatever {@link prove} started for a version that does not go live. One that `stays` may have served before:
   * its requests finish, and what was started for it is kept for a moment, in case an alias comes to it.
   */
  discard(version: Version, options?: { readonly stays: boolean }): Promise<void>;
}

/** What is said about a namespace for people and tools; kept and shown. */
export interface NamespaceFacts {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A namespace as the registry holds it. */
export interface StoredNamespace extends NamespaceResource, NamespaceFacts {
  readonly id: number;
}

/** Namespaces. `ids` are small, stable and never reused: they choose the user id of a namespace's instances. */
export interface NamespaceRegistry {
  list(): readonly StoredNamespace[];
  get(name: string): StoredNamespace | undefined;
  /** Makes a namespace; returns the one there is, unchanged, when it exists. */
  create(name: string, facts?: NamespaceFacts): Promise<NamespaceResource>;
  /** Replaces what is said about a namespace. Throws NAMESPACE_NOT_FOUND, STORE_FAILED. */
  describe(name: string, facts: NamespaceFacts): Promise<void>;
  /**
   * Sets what a namespace may use, all of it; in force when the promise resolves. Throws NAMESPACE_NOT_FOUND, and
   * LIMITS_INVALID when more would be reserved than there is.
   */
  setLimits(name: string, limits: NamespaceLimits): Promise<NamespaceResource>;
  /** Calls `listener` with a namespace whose limits were set, until the returned object is disposed. */
  watch(listener: (namespace: NamespaceResource) => void): Disposable;
  /** Throws NAMESPACE_NOT_FOUND, NAMESPACE_NOT_EMPTY. The default namespace cannot be removed (INVALID_REQUEST). */
  remove(name: string): Promise<void>;
}

/** Secrets of namespaces, encrypted at rest. Values leave only towards instances (T2, T3). */
export interface SecretRegistry {
  list(namespace: string): Promise<readonly SecretResource[]>;
  has(namespace: string, name: string): Promise<boolean>;
  set(namespace: string, name: string, value: Uint8Array): Promise<SecretResource>;
  /** Throws SECRET_NOT_FOUND, SECRET_IN_USE. */
  remove(namespace: string, name: string): Promise<void>;
  /** The value, for the launcher alone. Throws SECRET_NOT_FOUND. */
  reveal(namespace: string, name: string): Promise<Uint8Array>;
}

/** The keys that namespaces sign what they post with, encrypted at rest. */
export interface SigningKeys {
  /** The key of a namespace, made at its first use. Throws NAMESPACE_NOT_FOUND, STORE_FAILED. */
  get(namespace: string): Promise<SigningKeyResource>;
  /**
   * Makes a new key. What is posted within {@link SigningKeyResource.previous} is signed with the old one as well, so
   * that receivers can change over in between. Throws NAMESPACE_NOT_FOUND, STORE_FAILED.
   */
  rotate(namespace: string): Promise<SigningKeyResource>;
}

/** Uploaded code, unpacked and stored once per digest. */
export interface CodeStore {
  /**
   * Unpacks an archive strictly and keeps it. Equal content gives the same digest whatever the order of entries or
   * their times. Throws CODE_INVALID, CODE_TOO_LARGE; then nothing stays on disk.
   */
  put(archive: AsyncIterable<Uint8Array>, format: 'tar' | 'zip', signal?: AbortSignal): Promise<CodeResource>;
  has(digest: string): boolean;
  /** Absolute path of the read-only directory with the code. */
  directory(digest: string): string;
  /** What differs between the files of two stored digests. Throws CODE_NOT_FOUND, STORE_FAILED. */
  compare(before: string, after: string): Promise<FileChanges>;
  /** Removes what `inUse` does not name and is older than `minAgeMs`. Returns the removed digests. */
  sweep(inUse: ReadonlySet<string>, minAgeMs: number): Promise<readonly string[]>;
}

/** Which lines of a log are read. */
export interface LogSelection extends LogQuery {
  /** Only lines of these. Default: of all. */
  readonly sources?: readonly LogSource[] | undefined;
}

/** The log of functions: instance output and what the platform says about instances. */
export interface LogBook {
  /** Adds a line. Never throws and never waits; over the rate cap lines are dropped and counted in a platform line. */
  append(line: LogLine): void;
  /** Stored lines that match, oldest first, then with `follow` new ones until `signal` aborts. */
  read(
    scope: { readonly namespace: string; readonly name: string },
    selection: LogSelection,
    signal?: AbortSignal,
  ): AsyncIterable<LogLine>;
  /** Forgets the log of a removed function. */
  forget(namespace: string, name: string): Promise<void>;
}

/** How a version stands: how many of its instances are ready, and why it last got the size it has. */
export interface FunctionStanding {
  readonly state: FunctionState;
  readonly instances: number;
  readonly scaling?: ScalingResource;
  /** Present while starts are held back because the last ones failed. */
  readonly startsHeld?: FunctionResource['startsHeld'];
}

/** What the instances of a function use now. */
export interface FunctionUsage {
  /** Thousandths of a core, over all its instances. */
  readonly cpuMillicores: number;
  readonly memoryBytes: number;
}

/** Measures what functions use. */
export interface UsageReader {
  /** Takes a third of a second where the function was not measured lately, on Docker up to two seconds. Never rejects. */
  usage(namespace: string, name: string): Promise<FunctionUsage>;
}

/** What the side that runs instances tells the control API. Synchronous and from memory. */
export interface InstanceDirectory {
  /** The instances of a function, of all its versions, oldest first; empty when there are none. */
  list(namespace: string, name: string): readonly InstanceResource[];
  /** The last starts of a function that calls waited for, newest first; a few, forgotten at a restart. */
  coldStarts(namespace: string, name: string): readonly ColdStart[];
  /** How many instances a version is meant to have now, and how many could serve a call. */
  replicas(version: Version): { readonly wanted: number; readonly ready: number };
  /** How a version stands, how many of its instances are ready, and whether starts are held back. */
  functionState(version: Version): FunctionStanding;
}

/** The body of a call that the platform makes. */
export type CallBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Opened once for each attempt. */
  | { readonly kind: 'stream'; readonly sizeBytes: number; readonly open: () => Readable };

/** A call that the platform makes itself: for a queue, a job, a trigger or a workflow. */
export interface PlatformCall {
  /** Kept over all attempts (A3). */
  readonly callId: string;
  /** From 1; the function sees it in `X-Ebb-Attempt`. */
  readonly attempt: number;
  readonly namespace: string;
  readonly name: string;
  /** `:alias`, `@number`, or empty for what the bare name means. */
  readonly qualifier: string;
  readonly method: string;
  /** Begins with `/`, the query included. */
  readonly path: string;
  /** Names and values alternate; what the platform sets is overwritten (G5). */
  readonly headers: readonly string[];
  /** `X-Ebb-` headers that the platform itself says with this call; nothing of a user's goes in here (G5). */
  readonly platformHeaders?: readonly string[] | undefined;
  readonly body: CallBody;
}

/** What is told of a call's answer while it comes. */
export interface AnswerSink {
  /** The head is there; headers alternate names and values, those of the connection left out. */
  onHead(status: number, headers: readonly string[]): void;
  /** A piece of the body, the sink's to keep. Nothing more comes before a returned promise resolves. */
  onData(chunk: Uint8Array): void | Promise<void>;
}

/** How a call that the platform made ended. Whether it succeeded is for who made it to say. */
export type CallOutcome = {
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** The version and instance that served; absent when none did. */
  readonly version?: number | undefined;
  readonly instance?: string | undefined;
} & (
  | { readonly kind: 'answered'; readonly status: number }
  /** `error` says whose fault it was; `retryAfterMs` when another attempt is welcome, where that is known. */
  | { readonly kind: 'failed'; readonly error: EbbError; readonly retryAfterMs?: number | undefined }
  /** `signal` aborted. */
  | { readonly kind: 'aborted' }
);

/**
 * Calls functions for the platform itself, on the same path as calls from outside: aliases, traffic split, limits,
 * waiting in line, deadlines and telemetry hold for all. Credentials are not asked for: who let the call in did that.
 */
export interface Invoker {
  /** Never rejects. Aborting takes the request from the instance, which is told. */
  invoke(call: PlatformCall, sink: AnswerSink, signal?: AbortSignal): Promise<CallOutcome>;
}

/** Accepts calls to be made later: for destinations, triggers, workflows and jobs. */
export interface Enqueuer {
  /**
   * On disk when it resolves, each with its id or why not. Throws FUNCTION_NOT_FOUND, ALIAS_NOT_FOUND,
   * VERSION_NOT_FOUND, ASYNC_QUEUE_FULL, IDEMPOTENCY_MISMATCH, PAYLOAD_TOO_LARGE, STORAGE_FULL or STORE_FAILED.
   */
  enqueue(call: QueuedCall): Promise<AcceptedCall>;
}

/** A call to be made later. */
export interface QueuedCall extends Omit<PlatformCall, 'callId' | 'attempt'> {
  /** Chosen anew where absent. */
  readonly callId?: string | undefined;
  /** Milliseconds since the Unix epoch. Default: now. */
  readonly runAt?: number | undefined;
  /** Default: what the function says. */
  readonly maxAgeMs?: number | undefined;
  readonly priority?: number | undefined;
  readonly key?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly callbacks?: readonly Destination[] | undefined;
}

/** A body that is handed in with a call: it may still be coming, of unknown length. */
export type GivenBody =
  | CallBody
  | {
      readonly kind: 'chunks';
      readonly chunks: AsyncIterable<Uint8Array>;
      /** Where it is known ahead. */
      readonly sizeBytes?: number | undefined;
    };

/** A call to be made later whose body may still be coming. */
export interface GivenCall extends Omit<QueuedCall, 'body'> {
  readonly body: GivenBody;
  /** Becomes the call's id unless another call has it: who asked for it is told which it is in the end. */
  readonly wantedId?: string | undefined;
  /** Instead of `runAt`: so long after it was accepted. */
  readonly delayMs?: number | undefined;
}

/** Accepts calls from outside; see {@link Enqueuer}. Errors are as there. */
export interface Acceptor extends Enqueuer {
  /** On disk when it resolves. A body that ends early, or is too large, is an error, and nothing was accepted. */
  enqueue(call: GivenCall): Promise<AcceptedCall>;
  /** The first half of {@link enqueue}: checks the call and keeps its body. Nothing is accepted yet. */
  receive(call: GivenCall): Promise<ReceivedCall>;
  /** Accepts many, each by itself: what is wrong with one is said in its place. */
  enqueueAll(calls: readonly GivenCall[]): Promise<readonly (AcceptedCall | EbbError)[]>;
}

/** A call whose body is kept, and that is not accepted yet. */
export interface ReceivedCall {
  /** The body as it was kept. */
  readonly body: CallBody;
  /** Accepts it. */
  queue(): Promise<AcceptedCall>;
}

/** A call that was accepted. */
export interface AcceptedCall {
  readonly id: string;
  /** Whether an earlier call with the same idempotency key answers for it. */
  readonly duplicate: boolean;
}

/** Which asynchronous calls are listed: those that match everything given. */
export interface InvocationQuery {
  readonly namespace: string;
  readonly function?: string | undefined;
  readonly states?: readonly InvocationState[] | undefined;
  readonly key?: string | undefined;
  /** Accepted at or after; milliseconds since the Unix epoch. */
  readonly sinceAt?: number | undefined;
  /** Accepted before. */
  readonly beforeAt?: number | undefined;
  /** From the page before. */
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** The body of a call or of its answer, as it was kept. */
export interface KeptBody {
  /** Of an answer. */
  readonly status?: number | undefined;
  readonly contentType?: string | undefined;
  readonly sizeBytes: number;
  /** All of it, or where it is read from. */
  open(): Uint8Array | Readable;
}

/**
 * The asynchronous calls of a server, for the API. With a `namespace`, a call of another one is not found (T3). What
 * names a call throws INVOCATION_NOT_FOUND; all throw STORE_FAILED.
 */
export interface Invocations {
  /** Accepts calls, each by itself, under names as users write them; `namespace` is that of names without one. */
  submit(calls: readonly SubmitCall[], namespace: string): Promise<readonly (AcceptedCall | EbbError)[]>;
  get(id: string, namespace?: string): Promise<InvocationResource>;
  /** The call once it has ended, or as it stands when `limitMs` are over or the server wants to end the wait. */
  wait(id: string, options: WaitOptions): Promise<InvocationResource>;
  /** Newest first. Throws INVALID_REQUEST for a cursor that is none. */
  list(query: InvocationQuery): Promise<InvocationPage>;
  /** The answer that is kept. Throws RESULT_NOT_FOUND. */
  result(id: string, namespace?: string): Promise<KeptBody>;
  payload(id: string, namespace?: string): Promise<KeptBody>;
  /** The function whose log has the call's lines. Throws INVOCATION_NOT_FOUND for a call that is for none. */
  functionOf(id: string, namespace?: string): Promise<FunctionName>;
  /**
   * Ends a call: one that is queued at once, one that runs by aborting its request. Throws INVOCATION_ENDED, and CONFLICT
   * when who runs it cannot be reached.
   */
  cancel(id: string, namespace?: string): Promise<InvocationResource>;
  /** Makes a call anew with the same payload, whatever became of it; `target` is another function, alias or version. */
  replay(
    id: string,
    options: { readonly namespace?: string | undefined; readonly target?: string | undefined },
  ): Promise<AcceptedCall>;
}

/**
 * Calls that ran out of attempts. With a `namespace`, a letter of another one is not found (T3). Redrive and purge work in
 * steps that are each on disk or not, and doing them again goes on where they stopped. All throw STORE_FAILED.
 */
export interface DeadLetters {
  /** Newest first. Throws INVALID_REQUEST for a cursor that is none. */
  list(query: DeadLetterFilter & { readonly redriven: boolean; readonly limit: number }): Promise<InvocationPage>;
  /** One with every attempt. Throws INVOCATION_NOT_FOUND, INVOCATION_NOT_DEAD. */
  get(id: string, namespace?: string): Promise<InvocationResource>;
  /**
   * Queues letters anew under new ids, as many as one step takes. With `to`, a function, alias or version of their
   * namespace, as calls of that one, by its settings; then they leave the dead letters. Throws what accepting a call
   * throws, then with some of them redriven; doing it again goes on with the rest.
   */
  redrive(selection: DeadLetterChoice, to?: string): Promise<Redriven>;
  /** Removes letters, as many as one step takes; also those that were redriven, where they are named. */
  purge(selection: DeadLetterChoice): Promise<Purged>;
}

/** Dead letters that match everything given. */
export interface DeadLetterFilter {
  readonly namespace: string;
  readonly function?: string | undefined;
  readonly reason?: DeadReason | undefined;
  /** Accepted at or after; milliseconds since the Unix epoch. */
  readonly sinceAt?: number | undefined;
  /** Accepted before. */
  readonly beforeAt?: number | undefined;
  /** From the step or page before. */
  readonly cursor?: string | undefined;
}

/** Dead letters that are named, or that match. */
export type DeadLetterChoice =
  | { readonly kind: 'ids'; readonly ids: readonly string[]; readonly namespace?: string | undefined }
  | { readonly kind: 'filter'; readonly filter: DeadLetterFilter };

/** How calls were sent, for running them again elsewhere. */
export interface Captures {
  /** Without credentials. Throws INVOCATION_NOT_FOUND, also for a call of another namespace than `namespace` (T3). */
  request(id: string, namespace?: string): Promise<CapturedRequest>;
}

/** Queues that people and programs read from over the API. All throw STORE_FAILED. */
export interface OutcomeQueues {
  /** Those of a namespace that hold something, by name. */
  list(namespace: string): Promise<readonly QueueResource[]>;
  /** Takes items, oldest first; until `forMs` are over nobody else gets them. */
  lease(
    namespace: string,
    name: string,
    options: { readonly max: number; readonly forMs: number },
  ): Promise<readonly LeasedItem[]>;
  /** Says that items are done with. A receipt of another queue does not count (T3). */
  ack(namespace: string, name: string, receipts: readonly string[]): Promise<Settled>;
  /** Gives items back, to be taken again at once. */
  release(namespace: string, name: string, receipts: readonly string[]): Promise<Settled>;
}

/** How long a call is waited for. */
export interface WaitOptions {
  readonly namespace?: string | undefined;
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Attempts that run in this process, or one that it has taken over from. */
export interface RunningCalls {
  /** Aborts the attempt of a call; false when none runs there. The call is settled as cancelled soon after. */
  abort(id: string, message: string): boolean | Promise<boolean>;
}

/** A request to the platform itself, answered. */
export interface AnsweredRequest {
  readonly method: string;
  /** The route's pattern, not the path: callers must not be able to make series at will. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

/** Who a request comes from. */
export type Identity = { readonly kind: 'admin' };

/** Checks credentials. */
export interface Authenticator {
  /**
   * Checks an `Authorization` header (Bearer, or Basic with user `admin`). Throws UNAUTHENTICATED, or
   * TOO_MANY_ATTEMPTS while `remoteAddress` is held back after wrong guesses.
   */
  authenticate(authorization: string | undefined, remoteAddress: string): Promise<Identity>;
}

/** What an image is built from. */
export interface ImageBuild {
  /** Name and tag it gets. */
  readonly image: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Such as `linux/amd64`. Default: the builder's own. */
  readonly platform?: string | undefined;
  /** By id, for `RUN --mount=type=secret,id=...`; they are in no layer of the image. */
  readonly secrets: Readonly<Record<string, Uint8Array>>;
  /** A tar file of the context, its `Dockerfile` at the top. */
  readonly context: Readable;
}

/** Who may push to a registry. */
export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

/** What a step of a build says, a line at a time, and how it ended; nothing follows `failed`. */
export type BuildNews =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'done' }
  /** By the fault of what is built; the words are the builder's. */
  | { readonly kind: 'failed'; readonly message: string };

/**
 * Builds images where instances run, and pushes them. Leaving the news, or aborting `signal`, ends the step. Throws
 * ENGINE_UNAVAILABLE or ENGINE_FAILED where the builder does not answer, and the reason of `signal`.
 */
export interface ImageBuilder {
  build(build: ImageBuild, signal: AbortSignal): AsyncIterable<BuildNews>;
  push(image: string, login: RegistryLogin | undefined, signal: AbortSignal): AsyncIterable<BuildNews>;
}
