import { type FunctionSpec, parseGoTimeoutMs } from '@ebb/contract';

/** Time an instance gets between SIGTERM and SIGKILL once it holds no request. */
const STOP_GRACE_MS = 5_000;
/** How long servers in images made for OpenFaaS wait for their last requests unless `write_timeout` says so. */
const DEFAULT_WRITE_TIMEOUT = '30s';
/** Longest time an image can ask for. */
const MOST_GRACE_MS = 600_000;
/** How long such a server goes on listening after SIGTERM: for others to notice, which nobody here has to. */
const NOTICE = '1s';

type Habitual = Pick<FunctionSpec, 'openfaas' | 'env'>;

/**
 * What images made for OpenFaaS find in their environment beside what was said for them: who they are, what to run, and
 * that they need not go on listening for long when they are to end, unless the deployment says for how long.
 */
export function watchdogEnv({ openfaas }: Habitual, namespace: string, name: string): Record<string, string> {
  if (openfaas === undefined) return {};
  return {
    healthcheck_interval: NOTICE,
    OPENFAAS_NAME: name,
    OPENFAAS_NAMESPACE: namespace,
    ...(openfaas.envProcess === undefined ? {} : { fprocess: openfaas.envProcess }),
  };
}

/**
 * Time an instance gets between SIGTERM and SIGKILL, in milliseconds. One of an image made for OpenFaaS goes on
 * listening for `healthcheck_interval` and then waits up to `write_timeout`.
 */
export function stopGraceMs({ openfaas, env }: Habitual): number {
  if (openfaas === undefined) return STOP_GRACE_MS;
  const noticeMs = parseGoTimeoutMs(env['healthcheck_interval'] ?? NOTICE) ?? 0;
  const writeMs = parseGoTimeoutMs(env['write_timeout'] ?? DEFAULT_WRITE_TIMEOUT) ?? 0;
  return Math.min(noticeMs + writeMs + STOP_GRACE_MS, MOST_GRACE_MS);
}
