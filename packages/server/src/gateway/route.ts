import { questionPath } from '../pool/question-path.ts';
import type { Version } from '../core/ports.ts';
import type { RateGate } from './rate-gates.ts';

/** What the gateway knows of a version without asking anybody. */
export interface Route {
  readonly kind: 'route';
  readonly version: Version;
  readonly authRequired: boolean;
  readonly timeoutMs: number;
  /** `NAME.NAMESPACE`, for events. */
  readonly label: string;
  /** Path by which its instances are asked whether they answer at all, if there is one. */
  readonly questionPath: string | undefined;
  /** `name@version`, for the response. */
  readonly versionLabel: string;
  /** Whether it was deployed through the compatible API, whose callers count on a little more. */
  readonly isOpenFaas: boolean;
  /** The rate of its namespace. */
  readonly rate: RateGate;
}

/** Makes the route of a version, which asks for credentials if its spec does or `authRequired` says so. */
export function routeOf(version: Version, rate: RateGate, authRequired = false): Route {
  return {
    kind: 'route',
    version,
    authRequired: authRequired || version.spec.auth === 'required',
    timeoutMs: version.limits.timeoutMs,
    label: `${version.name}.${version.namespace}`,
    questionPath: questionPath(version.spec),
    isOpenFaas: version.spec.openfaas !== undefined,
    versionLabel: `${version.name}@${version.version}`,
    rate,
  };
}
