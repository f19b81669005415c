import type { Clock } from '../../core/clock.ts';
import { asEbbError, EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { FunctionRegistry, InstanceDirectory } from '../../core/ports.ts';
import { createAlertRetries } from './alert-retries.ts';
import { decideAlertScale } from './decide-alert-scale.ts';
import type { OpenFaasRoute } from './openfaas-route.ts';
import { alertsSchema, type FunctionAlert, parseAlerts } from './parse-alerts.ts';
import { readJson } from './read-json.ts';

/** What alerts act on. */
export interface AlertRouteOptions {
  readonly registry: Pick<FunctionRegistry, 'resolve' | 'setReplicas'>;
  readonly instances: Pick<InstanceDirectory, 'replicas'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly logger: Logger;
}

/** A post of Alertmanager carries every alert of a group, each about as long as its labels and annotations. */
const MAX_BYTES = 4 * 2 ** 20;

/**
 * `POST /system/alert`: what Alertmanager posts scales the functions it is about. The number asked for stays until the
 * next alert, scaling by hand or deploy, and Ebb's own autoscaler starts more where the load needs them but none less. So
 * the two never undo each other.
 */
export function alertRoutes(options: AlertRouteOptions): readonly OpenFaasRoute[] {
  const retries = createAlertRetries(options.clock);
  return [
    {
      method: 'POST',
      path: '/system/alert',
      scope: 'functions:write',
      async run({ request }) {
        const alerts = parseAlerts(await readJson(request, alertsSchema, MAX_BYTES));
        const text = JSON.stringify(alerts);
        const before = retries.doneOf(text);
        const done = new Set(before);
        const failures: string[] = [];
        for (const alert of alerts) {
          const label = `${alert.name}.${alert.namespace}`;
          if (before.has(label)) continue;
          // Of one function one after the other: each step is from where the one before led to.
          const failure = await follow(alert, options);
          if (failure === undefined) done.add(label);
          else failures.push(`${label}: ${failure}`);
        }
        if (failures.length === 0) return { status: 200 };
        retries.failed(text, done);
        return { status: 500, text: `alerts could not be followed: ${failures.join('; ')}` };
      },
    },
  ];
}

/** Undefined when the alert was followed, else why not. */
async function follow(alert: FunctionAlert, options: AlertRouteOptions): Promise<string | undefined> {
  const { registry, instances, logger } = options;
  const { namespace, name, status } = alert;
  try {
    const record = registry.resolve(namespace, name);
    if (!record) {
      // Its series vanished with it, and that is what resolved the alert.
      if (status === 'resolved') return undefined;
      throw new EbbError('FUNCTION_NOT_FOUND', `there is no function "${name}" in namespace "${namespace}"`);
    }
    const { live, versions } = record;
    const { scaleMin, scaleMax } = live.limits;
    const count = decideAlertScale(status, {
      labels: live.spec.labels,
      scaleMin,
      scaleMax,
      replicas: versions.reduce((sum, version) => sum + instances.replicas(version).wanted, 0),
    });
    if (count === undefined) return undefined;
    await registry.setReplicas(namespace, name, count);
    logger.info({ namespace, function: name, status, replicas: count }, 'an alert scaled a function');
    return undefined;
  } catch (error) {
    return asEbbError(error).message;
  }
}
