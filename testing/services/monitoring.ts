import { startWebService, type WebService } from './web-service.ts';

/** What a Prometheus of a test scrapes and decides. */
export interface PrometheusOptions {
  /** Addresses, `host:port`, whose `/metrics` are read. */
  readonly targets: readonly string[];
  /** Text of a rule file as users write it. */
  readonly rules?: string;
  /** Addresses, `host:port`, of the Alertmanagers told of alerts. */
  readonly alertmanagers?: readonly string[];
  /** Time between scrapes, and between evaluations of the rules. Default: 200 ms. */
  readonly intervalMs?: number;
}

/** Starts Debian's Prometheus on a free port of the loopback interface. */
export function startPrometheus(options: PrometheusOptions): Promise<WebService> {
  const { targets, rules, alertmanagers = [], intervalMs = 200 } = options;
  const interval = `${intervalMs}ms`;
  return startWebService({
    program: 'prometheus',
    readyPath: '/-/ready',
    args: (port, directory) => [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    files: (_port, directory) => ({
      // JSON is YAML.
      'prometheus.yml': JSON.stringify({
        global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
        scrape_configs: [{ job_name: 'test', static_configs: [{ targets }] }],
        rule_files: rules === undefined ? [] : [`${directory}/rules.yml`],
        alerting: { alertmanagers: [{ static_configs: [{ targets: alertmanagers }] }] },
      }),
      ...(rules === undefined ? {} : { 'rules.yml': rules }),
    }),
  });
}

/** What an Alertmanager of a test tells to whom. */
export interface AlertmanagerOptions {
  /** Text of a configuration as users write it. */
  readonly config: string;
}

/** Starts Debian's Alertmanager on a free port of the loopback interface, alone, without a cluster. */
export function startAlertmanager(options: AlertmanagerOptions): Promise<WebService> {
  return startWebService({
    program: 'prometheus-alertmanager',
    readyPath: '/-/ready',
    args: (port, directory) => [
      `--config.file=${directory}/alertmanager.yml`,
      `--storage.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
      '--log.level=warn',
    ],
    files: () => ({ 'alertmanager.yml': options.config }),
  });
}
