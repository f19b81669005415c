import type { OpenFaasDeployment } from './deployment.ts';

/** Annotations that say something to another platform; by exact name, or by a beginning that ends with a dot. */
const ANNOTATIONS: Readonly<Record<string, string>> = {
  'com.openfaas.queue': 'it is kept and shown in metrics; each function has a line of its own in one durable queue',
  'prometheus.io.': 'functions are not scraped one by one: the metrics of all of them are at the metrics address',
  schedule: 'it is kept and listed, and calls come from a cron connector that is pointed at this server',
  topic: 'it is kept and listed, and calls come from a connector that is pointed at this server',
};

/** Names by which functions reach the gateway or each other inside a cluster. */
const INSIDE = /\b(?:gateway(?:\.openfaas)?:8080|[-a-z0-9.]+\.svc(?:\.cluster\.local)?)\b/i;

/**
 * What of a deployment means something else here beyond what the mapping to a spec tells by itself, in sentences: nothing
 * is dropped in silence. Pure.
 */
export function describeDifferences(deployment: OpenFaasDeployment): string[] {
  const { annotations, envVars, requests } = deployment;
  return [
    ...Object.keys(annotations).flatMap((name) => {
      const key = Object.keys(ANNOTATIONS).find((one) => (one.endsWith('.') ? name.startsWith(one) : name === one));
      return key === undefined ? [] : [`annotation "${name}": ${ANNOTATIONS[key] ?? ''}`];
    }),
    ...(requests === undefined ? [] : ['requests are kept and shown, and nothing is reserved for them']),
    ...Object.entries(envVars).flatMap(([name, value]) => {
      const found = INSIDE.exec(value)?.[0];
      return found === undefined
        ? []
        : [`the variable ${name} names ${found}, which is not there; instances reach public addresses only`];
    }),
  ];
}
