/** Id of one call, kept over all its attempts; on every request to a function and every response. */
export const CALL_ID_HEADER = 'x-call-id';
/** When the gateway received the call: nanoseconds since the Unix epoch, as a decimal string. */
export const START_TIME_HEADER = 'x-start-time';
/** When the call ends at the latest: milliseconds since the Unix epoch, as a decimal string. */
export const DEADLINE_HEADER = 'x-ebb-deadline';
/** Which version answered: `name@version`; on responses only. */
export const VERSION_HEADER = 'x-ebb-version';
/** Set to the component's name on every response that the platform, not the function, made. */
export const ERROR_COMPONENT_HEADER = 'x-ebb-error';
/** Liveness path of the instance contract. */
export const HEALTH_PATH = '/_/health';
/** Readiness path of the instance contract. */
export const READY_PATH = '/_/ready';
/** Where an instance finds its secrets, one file each, unless `EBB_SECRETS_DIR` says otherwise. */
export const SECRETS_PATH = '/var/openfaas/secrets';
