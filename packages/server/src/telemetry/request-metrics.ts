import type { AnsweredRequest } from '../core/ports.ts';
import type { MetricFamilies } from './metric-families.ts';

/** Makes the metrics of requests to the platform itself; the returned function counts one. */
export function createRequestMetrics(families: MetricFamilies): (request: AnsweredRequest) => void {
  const labelNames = ['method', 'path', 'status'] as const;
  const total = families.counter(
    'http_requests_total',
    'Requests to the platform itself that were answered.',
    labelNames,
  );
  const duration = families.durations(
    'http_request_duration_seconds',
    'Time that answering a request to the platform itself took.',
    labelNames,
  );
  return ({ method, route, status, seconds }) => {
    const labels = [method, route, String(status)] as const;
    total.labels(...labels).inc();
    duration.labels(...labels).observe(seconds);
  };
}
