/** Id of one call, kept over all its attempts; on every request to a function and every response. */
export const CALL_ID_HEADER = 'x-call-id';
/** When the gateway received the call: nanoseconds since the Unix epoch, as a decimal string. */
export const START_TIME_HEADER = 'x-start-time';
/** When the call ends at the latest: milliseconds since the Unix epoch, as a decimal string. */
export const DEADLINE_HEADER = 'x-ebb-deadline';
/** On responses, which version answered: `name@version`. On requests, the number of the version that is meant. */
export const VERSION_HEADER = 'x-ebb-version';
/** On requests, the alias that is meant. */
export const ALIAS_HEADER = 'x-ebb-alias';
/** On copies of calls that are sent to a shadow version: the id of the call. */
export const SHADOW_HEADER = 'x-ebb-shadow-of';
/** On requests of an asynchronous call: the number of the attempt, from 1. */
export const ATTEMPT_HEADER = 'x-ebb-attempt';
/** On a submit: a second one with the same key and body is the first one's. */
export const IDEMPOTENCY_KEY_HEADER = 'idempotency-key';
/** On a submit: begin no earlier than this long after the call was accepted, such as `5m`. */
export const DELAY_HEADER = 'x-ebb-delay';
/** On a submit: begin no earlier than this moment, in the form of RFC 3339. */
export const RUN_AT_HEADER = 'x-ebb-run-at';
/** On a submit: 0 to 9. */
export const PRIORITY_HEADER = 'x-ebb-priority';
/** On a submit: how old the call may become, such as `6h`. */
export const MAX_AGE_HEADER = 'x-ebb-max-age';
/** On a submit: what order, throttle, debounce and key limits go by. */
export const KEY_HEADER = 'x-ebb-key';
/** On a submit: address the outcome is posted to. */
export const CALLBACK_HEADER = 'x-callback-url';
/** On the answer to a submit, `true` where an earlier call with the same idempotency key answers for it. */
export const REPLAYED_HEADER = 'idempotent-replayed';
/** On a kept answer that is read: the status the function answered with. */
export const FUNCTION_STATUS_HEADER = 'x-ebb-function-status';
/** Set to the component's name on every response that the platform, not the function, made. */
export const ERROR_COMPONENT_HEADER = 'x-ebb-error';
/** Liveness path of the instance contract. */
export const HEALTH_PATH = '/_/health';
/** Readiness path of the instance contract. */
export const READY_PATH = '/_/ready';
/** Where an instance finds its secrets, one file each, unless `EBB_SECRETS_DIR` says otherwise. */
export const SECRETS_PATH = '/var/openfaas/secrets';
