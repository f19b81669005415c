import type { HealthResource } from '@ebb/contract';
import type { Config } from '../config/config-schema.ts';
import { EbbError } from '../core/errors.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createMetricsServer, type MetricsServer } from '../telemetry/metrics-server.ts';
import { retried } from './retried.ts';

/** A server that is replaced closes its metrics when the other serves. */
const METRICS_TRIES = 20;

/** What {@link openMetrics} is told. */
export interface OpenMetricsOptions {
  readonly listen: Config['metricsListen'];
  /** Whether nobody asked for that address: then a second server on the host does without. */
  readonly isDefault: boolean;
  /** Whether another server may have it for a moment longer. */
  readonly isTakeover: boolean;
  readonly metrics: Metrics;
  readonly health: () => Promise<HealthResource>;
  /** Told a sentence when there are none. */
  readonly onWarning: (warning: string) => void;
}

/** Opens the page of metrics; undefined when they are off. Throws CONFIG_INVALID when the address is taken. */
export async function openMetrics(options: OpenMetricsOptions): Promise<MetricsServer | undefined> {
  const { listen, metrics, health } = options;
  if (listen === 'off') return undefined;
  try {
    const open = () => createMetricsServer({ listen, metrics, health });
    return await retried(open, options.isTakeover ? METRICS_TRIES : 1);
  } catch (error) {
    if (!options.isDefault || !(error instanceof EbbError)) throw error;
    options.onWarning(`metrics are off: ${error.message}; set EBB_METRICS_LISTEN to another address`);
    return undefined;
  }
}
