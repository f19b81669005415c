/** Who can mend an error: the caller, the function's author, or whoever runs the platform. */
export type Fault = 'caller' | 'function' | 'platform';

/** The part of Ebb that reports an error. */
export type Component =
  | 'gateway'
  | 'api'
  | 'engine'
  | 'registry'
  | 'auth'
  | 'config'
  | 'builds'
  | 'store'
  | 'async'
  | 'jobs';

/** One row of the error catalog. */
export interface ErrorDefinition {
  /** HTTP status it is answered with. */
  readonly status: number;
  readonly component: Component;
  readonly fault: Fault;
  /** Whether the same request can succeed later without being changed. */
  readonly retryable: boolean;
  /** When it happens, and what to do; one or two sentences for docs/errors.md. */
  readonly description: string;
}

const define = <const T extends Record<string, ErrorDefinition>>(catalog: T): T => catalog;

/** Every error the platform answers with. The codes are stable; docs/errors.md is generated from this. */
export const ERRORS = define({
  FUNCTION_NOT_FOUND: {
    status: 404,
    component: 'gateway',
    fault: 'caller',
    retryable: false,
    description: 'No function of that name is deployed in that namespace. `ebb list` shows what is.',
  },
  BAD_PATH: {
    status: 400,
    component: 'gateway',
    fault: 'caller',
    retryable: false,
    description: 'The path names no function in the form `/function/NAME[.NAMESPACE][/rest]`.',
  },
  BAD_REQUEST: {
    status: 400,
    component: 'gateway',
    fault: 'caller',
    retryable: false,
    description: 'The request is not well-formed HTTP or its framing is ambiguous; it was not forwarded.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    component: 'gateway',
    fault: 'caller',
    retryable: false,
    description: 'The headers of the request are larger than the server accepts; it was not forwarded.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    component: 'gateway',
    fault: 'caller',
    retryable: true,
    description:
      'The headers of the request, or the body of an asynchronous call, did not come in time; nothing was done with it.',
  },
  NOT_FOUND: {
    status: 404,
    component: 'api',
    fault: 'caller',
    retryable: false,
    description: 'No route answers at that path. `/v1/openapi.json` lists them.',
  },
  QUEUE_FULL: {
    status: 429,
    component: 'gateway',
    fault: 'caller',
    retryable: true,
    description:
      'Every instance is busy and the waiting line of the version is full. Retry after `Retry-After`, or raise `scale.max`, `concurrency` or `queue.length`.',
  },
  FUNCTION_LIMIT: {
    status: 429,
    component: 'gateway',
    fault: 'caller',
    retryable: true,
    description:
      'As many calls of the function run or wait as its `limits.concurrency` allows. Retry after `Retry-After`, or raise it.',
  },
  NAMESPACE_LIMIT: {
    status: 429,
    component: 'gateway',
    fault: 'caller',
    retryable: true,
    description:
      'As many calls run or wait as the namespace’s `concurrency` allows, what is reserved for its other functions included. Retry after `Retry-After`, or raise it with `ebb namespace limits`.',
  },
  RATE_LIMIT: {
    status: 429,
    component: 'gateway',
    fault: 'caller',
    retryable: true,
    description:
      'The namespace was called more often than its `rate` allows. `Retry-After` says when the next call may pass.',
  },
  INSTANCE_CRASHED: {
    status: 502,
    component: 'gateway',
    fault: 'function',
    retryable: true,
    description:
      'The instance ended or cut the connection before it answered. `logs` has what this call wrote, `ebb logs` everything; when instances keep ending soon after their start, no new one is started for a while.',
  },
  INSTANCE_REFUSED: {
    status: 502,
    component: 'gateway',
    fault: 'function',
    retryable: true,
    description: 'The instance no longer accepts connections. It is being replaced.',
  },
  BAD_RESPONSE: {
    status: 502,
    component: 'gateway',
    fault: 'function',
    retryable: false,
    description: 'The instance answered something that is not well-formed HTTP, or headers beyond the limit.',
  },
  NO_INSTANCE_IN_TIME: {
    status: 503,
    component: 'gateway',
    fault: 'platform',
    retryable: true,
    description: 'No instance became free or ready within `queue.wait`.',
  },
  START_FAILED: {
    status: 503,
    component: 'gateway',
    fault: 'function',
    retryable: true,
    description:
      'An instance was started for the call but ended by itself before it was ready, or could not be reached. `logs` has its last lines.',
  },
  HANDLER_FAILED: {
    status: 503,
    component: 'gateway',
    fault: 'function',
    retryable: true,
    description:
      'The handler threw while it was loaded, is missing, or exports nothing that can answer. `logs` says where; deploy code that loads.',
  },
  NEVER_READY: {
    status: 503,
    component: 'gateway',
    fault: 'function',
    retryable: true,
    description:
      'An instance was started for the call and ran, but never became ready: a top-level `await` that does not settle, or nothing that listens on `port` and answers `healthPath` within the server’s `startTimeout`.',
  },
  INSTANCE_BLOCKED: {
    status: 504,
    component: 'gateway',
    fault: 'function',
    retryable: true,
    description:
      'The instance runs but answers nothing, not even the platform: its event loop is blocked, while the handler is loaded or by a call. It is replaced unless it answers soon. Move long computations to a worker thread, or raise `timeout` and `cpu`.',
  },
  OUT_OF_MEMORY: {
    status: 502,
    component: 'gateway',
    fault: 'function',
    retryable: true,
    description:
      'The instance needed more memory than its `memory` allows and was ended, before it was ready or during the call. Raise `memory`, or lower `concurrency`.',
  },
  DRAINING: {
    status: 503,
    component: 'gateway',
    fault: 'platform',
    retryable: true,
    description: 'The server is shutting down and takes no new work.',
  },
  FUNCTION_TIMEOUT: {
    status: 504,
    component: 'gateway',
    fault: 'function',
    retryable: false,
    description:
      'The function did not answer within its `timeout`. Its instance still answers the platform, or has no way to be asked.',
  },
  UNAUTHENTICATED: {
    status: 401,
    component: 'auth',
    fault: 'caller',
    retryable: false,
    description: 'The credentials are missing or wrong. Use `Authorization: Bearer SECRET`, or `ebb login`.',
  },
  TOO_MANY_ATTEMPTS: {
    status: 429,
    component: 'auth',
    fault: 'caller',
    retryable: true,
    description: 'Too many wrong credentials came from this address. Wait for `Retry-After`.',
  },
  INVALID_REQUEST: {
    status: 400,
    component: 'api',
    fault: 'caller',
    retryable: false,
    description: 'A field of the request has a value that is not allowed. The message names field, value and rule.',
  },
  UNKNOWN_FIELD: {
    status: 400,
    component: 'api',
    fault: 'caller',
    retryable: false,
    description: 'The request carries a field that does not exist. The message names it.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    component: 'api',
    fault: 'caller',
    retryable: false,
    description: 'The path exists but not with that method.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    component: 'api',
    fault: 'caller',
    retryable: false,
    description: 'The body is sent as a media type that the route does not take. The message names those it does.',
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    component: 'api',
    fault: 'caller',
    retryable: false,
    description:
      'The body of a control request, or of an asynchronous call, is larger than the server accepts; nothing was accepted.',
  },
  NAMESPACE_NOT_FOUND: {
    status: 404,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'There is no namespace of that name. `ebb namespace list` shows what there is.',
  },
  NAMESPACE_NOT_EMPTY: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description:
      'A namespace that still holds functions or secrets, or calls or jobs that have not ended, cannot be removed.',
  },
  LIMITS_INVALID: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description:
      'What is reserved would be more than there is: for the functions of a namespace than its `concurrency`, or for all namespaces than the host.',
  },
  SECRET_NOT_FOUND: {
    status: 404,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description:
      'There is no secret of that name in the namespace, or no longer one that a version needs. `ebb secret set NAME` makes it; `ebb secret list` shows what there is.',
  },
  SECRET_IN_USE: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'A deployed function still uses the secret, so it cannot be removed.',
  },
  VERSION_NOT_FOUND: {
    status: 404,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description:
      'The function has no version of that number: it never had, or it was deleted. `ebb versions NAME` lists those there are.',
  },
  VERSION_IN_USE: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description:
      'The version cannot be deleted: an alias refers to it, a rollback goes back to it, or it still has instances or work under way. The message says which.',
  },
  NOTHING_TO_ROLL_BACK: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description:
      'No other version served before this one, or every call goes to the named version already. `ebb versions NAME` lists those there are.',
  },
  ALIAS_NOT_FOUND: {
    status: 404,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'The function has no alias of that name. `ebb alias list NAME` lists those there are.',
  },
  ALIAS_NAME_INVALID: {
    status: 400,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'An alias must be named like a function, and not so that it could be taken for a version’s number.',
  },
  ALIAS_REQUIRED: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'The alias `live` is what the bare name means; it can be pointed elsewhere but not removed.',
  },
  WEIGHTS_INVALID: {
    status: 400,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'The weights of an alias are percentages and must add up to 100.',
  },
  ROLLOUT_RUNNING: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: true,
    description:
      'A rollout of the function is running, so it cannot be deployed and `live` not be changed. Wait for it, or use `ebb rollout promote` or `abort`.',
  },
  ROLLOUT_NOT_RUNNING: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'No rollout of the function is running that could be paused, resumed, promoted or aborted.',
  },
  ROLLOUT_NOT_FOUND: {
    status: 404,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'The function has had no rollout. `ebb deploy --rollout canary` makes one.',
  },
  LIVE_IS_SPLIT: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'A rollout begins with one version, but `live` is split between several. Point it to one first.',
  },
  CODE_NOT_FOUND: {
    status: 400,
    component: 'registry',
    fault: 'caller',
    retryable: false,
    description: 'The deploy refers to uploaded code that the server does not hold. Upload it first.',
  },
  CODE_INVALID: {
    status: 400,
    component: 'builds',
    fault: 'caller',
    retryable: false,
    description: 'The uploaded archive is damaged or holds something other than plain files and folders inside it.',
  },
  CODE_TOO_LARGE: {
    status: 413,
    component: 'builds',
    fault: 'caller',
    retryable: false,
    description: 'The uploaded archive, what it unpacks to, or the number of its entries is over the limit.',
  },
  BUILD_INVALID: {
    status: 400,
    component: 'builds',
    fault: 'caller',
    retryable: false,
    description:
      'What was sent to the remote builder is no build: the message says which part of the archive is wrong.',
  },
  BUILD_NOT_SIGNED: {
    status: 401,
    component: 'builds',
    fault: 'caller',
    retryable: false,
    description:
      'The archive for the remote builder is not signed with its payload secret. `X-Build-Signature` must be `sha256=` and the HMAC-SHA256 of the whole body in hexadecimal.',
  },
  BUILD_TOO_LARGE: {
    status: 413,
    component: 'builds',
    fault: 'caller',
    retryable: false,
    description: 'The archive for the remote builder is longer than `builderMaxArchive`.',
  },
  BUILDS_FULL: {
    status: 429,
    component: 'builds',
    fault: 'caller',
    retryable: true,
    description: 'As many builds wait or are being received as may. Send it again later.',
  },
  CONFLICT: {
    status: 409,
    component: 'registry',
    fault: 'caller',
    retryable: true,
    description: 'Somebody else changed the same thing at the same time. Read it again and retry.',
  },
  DEPLOY_FAILED: {
    status: 422,
    component: 'registry',
    fault: 'function',
    retryable: false,
    description: 'The first instance of the new version did not become ready; the old version keeps serving.',
  },
  UNSUPPORTED_BY_ENGINE: {
    status: 422,
    component: 'engine',
    fault: 'caller',
    retryable: false,
    description: 'The engine in use cannot do what the function asks for; the message says which can.',
  },
  IMAGE_NOT_FOUND: {
    status: 422,
    component: 'engine',
    fault: 'caller',
    retryable: false,
    description:
      'The image is neither on the host nor in its registry, or the registry refused it. Check its name and tag, or bring it to the host with `docker pull` or `docker build`.',
  },
  IMAGE_REFUSED: {
    status: 422,
    component: 'engine',
    fault: 'caller',
    retryable: false,
    description: 'The image asks for something the platform does not allow, such as a working directory under /proc.',
  },
  ENGINE_UNAVAILABLE: {
    status: 503,
    component: 'engine',
    fault: 'platform',
    retryable: true,
    description: 'The engine does not answer. Running instances still serve. `ebb doctor` says more.',
  },
  ENGINE_TIMEOUT: {
    status: 503,
    component: 'engine',
    fault: 'platform',
    retryable: true,
    description: 'The engine did not finish an operation before its deadline.',
  },
  ENGINE_FAILED: {
    status: 503,
    component: 'engine',
    fault: 'platform',
    retryable: true,
    description: 'The engine refused an operation that should have worked; the message carries its own words.',
  },
  CONFIG_INVALID: {
    status: 500,
    component: 'config',
    fault: 'platform',
    retryable: false,
    description: 'A setting of the server has a value that is not allowed; the server does not start.',
  },
  DATA_DIR_IN_USE: {
    status: 500,
    component: 'config',
    fault: 'platform',
    retryable: false,
    description: 'Another running server uses the same data directory.',
  },
  TAKEOVER_FAILED: {
    status: 500,
    component: 'config',
    fault: 'platform',
    retryable: true,
    description: 'The running server could not be replaced by the one started with `--takeover`; it goes on as before.',
  },
  LISTEN_FAILED: {
    status: 500,
    component: 'config',
    fault: 'platform',
    retryable: false,
    description: 'The address to listen on is taken or not allowed. Choose another with `--listen`.',
  },
  INVOCATION_NOT_FOUND: {
    status: 404,
    component: 'async',
    fault: 'caller',
    retryable: false,
    description:
      'There is no asynchronous call with that id, or it ended so long ago that it was forgotten. `ebb invocations list` shows those there are.',
  },
  INVOCATION_ENDED: {
    status: 409,
    component: 'async',
    fault: 'caller',
    retryable: false,
    description:
      'The asynchronous call has ended, so it cannot be cancelled any more. `ebb invocations show ID` says how.',
  },
  INVOCATION_NOT_DEAD: {
    status: 409,
    component: 'async',
    fault: 'caller',
    retryable: false,
    description: 'The asynchronous call is not in the dead letters. `ebb invocations show ID` says how it stands.',
  },
  IDEMPOTENCY_MISMATCH: {
    status: 422,
    component: 'async',
    fault: 'caller',
    retryable: false,
    description: 'The idempotency key was used for another call before. Take a new key for a new call.',
  },
  ASYNC_QUEUE_FULL: {
    status: 429,
    component: 'async',
    fault: 'caller',
    retryable: true,
    description:
      'As many asynchronous calls of the namespace wait or run as `asyncMaxQueued` allows. Retry after `Retry-After`.',
  },
  RESULT_NOT_FOUND: {
    status: 404,
    component: 'async',
    fault: 'caller',
    retryable: false,
    description:
      'The asynchronous call has no answer that was kept: it has not ended, or no attempt was answered. `ebb invocations wait ID` waits for its end.',
  },
  DESTINATION_REFUSED: {
    status: 400,
    component: 'async',
    fault: 'caller',
    retryable: false,
    description:
      'The address must not be called: only http and https, and no private, loopback, link-local or metadata address. `callbackAllow` makes exceptions.',
  },
  JOB_NOT_FOUND: {
    status: 404,
    component: 'jobs',
    fault: 'caller',
    retryable: false,
    description:
      'There is no job with that id, or it ended so long ago that it was forgotten. `ebb job list` shows them.',
  },
  TASK_NOT_FOUND: {
    status: 404,
    component: 'jobs',
    fault: 'caller',
    retryable: false,
    description: 'The job has no task with that index. `ebb job show ID` lists its tasks.',
  },
  TASK_RESULT_NOT_FOUND: {
    status: 404,
    component: 'jobs',
    fault: 'caller',
    retryable: false,
    description:
      'The task has no result: it has not ended, or no attempt got so far. `ebb job show ID` says how it stands.',
  },
  JOB_ENDED: {
    status: 409,
    component: 'jobs',
    fault: 'caller',
    retryable: false,
    description: 'The job has ended, so it cannot be cancelled any more.',
  },
  JOB_NOT_ENDED: {
    status: 409,
    component: 'jobs',
    fault: 'caller',
    retryable: false,
    description: 'The job has not ended, so it can neither be removed nor run again. `ebb job cancel` ends it.',
  },
  JOB_DEPENDENCY_INVALID: {
    status: 400,
    component: 'jobs',
    fault: 'caller',
    retryable: false,
    description: 'A job comes after one that does not exist, or after itself by way of others. The message names it.',
  },
  NOTHING_TO_RERUN: {
    status: 409,
    component: 'jobs',
    fault: 'caller',
    retryable: false,
    description:
      'Every task of the job succeeded, so there is none to run again with `--failed`. `ebb job rerun ID` without it runs all of them again.',
  },
  STORAGE_FULL: {
    status: 507,
    component: 'store',
    fault: 'platform',
    retryable: true,
    description:
      'There is no space left to keep what was sent; nothing was accepted. Free some space and send it again.',
  },
  STORE_FAILED: {
    status: 503,
    component: 'store',
    fault: 'platform',
    retryable: true,
    description:
      'The data directory, or the queue on NATS, could not be read or written, for instance because NATS cannot be reached.',
  },
  INTERNAL: {
    status: 500,
    component: 'api',
    fault: 'platform',
    retryable: true,
    description: 'A defect of the platform. The server’s log has the details under the call id.',
  },
});

/** A stable error code. */
export type ErrorCode = keyof typeof ERRORS;

/** The JSON body of every error the platform answers with. */
export interface ErrorBody {
  readonly code: ErrorCode;
  /** One sentence for a person. */
  readonly message: string;
  readonly component: Component;
  readonly callId: string;
  /** The last lines the instance wrote, oldest first, where a start failed; of a call that failed only its own. */
  readonly logs?: readonly string[];
}
