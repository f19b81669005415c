import { KEEP_ALIVES } from '@ebb/contract';
import {
  address,
  choice,
  count,
  duration,
  optionalAddress,
  optionalDuration,
  optionalSize,
  optionalText,
  type Setting,
  size,
  text,
} from './setting.ts';

/**
 * Every setting of the server, in the order docs/config.md shows them. To add one, add a row: flag, variable, file
 * key, checks and documentation follow from it.
 */
export const SETTINGS = {
  listen: address({
    name: 'listen',
    fallback: '0.0.0.0:8080',
    description: 'Where the gateway and the control API listen. Port 0 takes a free one and prints it.',
  }),
  gateways: count({
    name: 'gateways',
    fallback: 0,
    min: 0,
    max: 64,
    description:
      'Processes that serve calls beside the one that decides. With `0` one process does everything, which is best until a core is too little.',
  }),
  metricsListen: optionalAddress({
    name: 'metricsListen',
    fallback: '127.0.0.1:8082',
    description: 'Where `/metrics` and `/healthz` are served, without authentication; `off` for nowhere.',
  }),
  domain: optionalText({
    name: 'domain',
    allowed: 'a domain name such as "fn.example.com", in lower case',
    pattern: /^(?=.{1,200}$)[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*$/,
    description:
      'Hosts below this domain name functions: `NAME.DOMAIN`, `NAME.NAMESPACE.DOMAIN`, `ALIAS--NAME.DOMAIN`, `v7--NAME.DOMAIN`; see [traffic.md](traffic.md). Without it only paths do.',
  }),
  dataDir: text({
    name: 'dataDir',
    fallback: './.ebb',
    allowed: 'a path without control characters',
    pattern: /^[^\p{Cc}]{1,4096}$/u,
    description: 'Directory for everything the server keeps. One running server per directory.',
  }),
  engine: choice({
    name: 'engine',
    of: ['auto', 'process', 'docker'],
    fallback: 'auto',
    description:
      'What runs instances. `auto` takes Docker if a daemon answers, else plain processes without isolation.',
  }),
  adminSecret: optionalText({
    name: 'adminSecret',
    allowed: '8 to 512 visible ASCII characters',
    pattern: /^[\x21-\x7e]{8,512}$/,
    confidential: true,
    description:
      'The admin secret. Without it one is made at the first start and printed once. Prefer the variable or the file: other users of the host can read flags.',
  }),
  adminUser: text({
    name: 'adminUser',
    fallback: 'admin',
    allowed: '1 to 128 visible ASCII characters without ":"',
    pattern: /^(?!.*:)[\x21-\x7e]{1,128}$/,
    description: 'The user whose password is the admin secret, where credentials are sent as user and password.',
  }),
  secretMountPath: optionalText({
    name: 'secretMountPath',
    allowed: 'an absolute path without control characters',
    pattern: /^\/[^\p{Cc}]{1,4095}$/u,
    description:
      'Directory with the files `basic-auth-user` and `basic-auth-password`, which say user and admin secret where `adminSecret` does not; see [openfaas.md](openfaas.md).',
  }),
  basicAuth: choice({
    name: 'basicAuth',
    of: ['on', 'off'],
    fallback: 'on',
    description:
      'Whether `/system` and `/ui` ask for user and password. With `off` whoever reaches the server can deploy; `/v1` always asks.',
  }),
  storeFiles: optionalText({
    name: 'storeFiles',
    allowed: 'a path without control characters',
    pattern: /^[^\p{Cc}]{1,4096}$/u,
    description:
      'Folder with `functions.json` and `templates.json`, served at `/store/` for clients without the internet; or one such file. See [openfaas.md](openfaas.md#stores).',
  }),
  logLevel: choice({
    name: 'logLevel',
    of: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    fallback: 'info',
    description: 'What the server’s own log holds.',
  }),
  dockerSocket: text({
    name: 'dockerSocket',
    fallback: '/var/run/docker.sock',
    allowed: 'an absolute path without control characters',
    pattern: /^\/[^\p{Cc}]{1,106}$/u,
    description: 'Unix socket of the Docker daemon.',
  }),
  runtimeImage: optionalText({
    name: 'runtimeImage',
    allowed: 'an image reference such as "registry/name:tag"',
    pattern: /^[a-zA-Z0-9][-a-zA-Z0-9._/:@]{0,511}$/,
    description: 'Image that functions with a managed runtime run in on Docker. Without it the server makes its own.',
  }),
  maxInstances: count({
    name: 'maxInstances',
    fallback: 500,
    min: 1,
    max: 100_000,
    description: 'Most instances of all functions together.',
  }),
  maxFrozenBytes: optionalSize({
    name: 'maxFrozenMemory',
    min: '0',
    max: '1000000Gi',
    description:
      'Most memory that frozen instances may take together; beyond it those least worth keeping are stopped. Without it half of the host’s memory.',
  }),
  freezeBy: choice({
    name: 'freezeBy',
    of: ['cgroup', 'engine'],
    fallback: 'cgroup',
    description:
      'How containers are frozen: past the Docker daemon where the host allows it, which wakes them ten times faster, or always by the daemon, which then shows them as paused.',
  }),
  preparedNetworks: count({
    name: 'preparedNetworks',
    fallback: 4,
    min: 0,
    max: 100,
    description:
      'Network namespaces kept ready for functions with an image, so that they start in half the time; 4 MiB each. None are made while no image is deployed.',
  }),
  maxConcurrentStarts: count({
    name: 'maxConcurrentStarts',
    fallback: 4,
    min: 1,
    max: 1000,
    description: 'Most instances being started at once. More than the host has cores makes every start slower.',
  }),
  memoryBudgetBytes: optionalSize({
    name: 'memoryBudget',
    min: '64Mi',
    max: '1024Gi',
    description:
      'Most memory of all instances together, counted by their limits; idle ones make room for others. Without it there is no bound but `maxInstances`.',
  }),
  keepAlive: choice({
    name: 'keepAlive',
    of: KEEP_ALIVES,
    fallback: 'fixed',
    description:
      'How long idle instances are kept where a function does not say in `scale.keepAlive`, and which of them make room first; see [autoscaling.md](autoscaling.md).',
  }),
  poolSize: count({
    name: 'poolSize',
    fallback: 2,
    min: 0,
    max: 100,
    description:
      'Instances of the managed runtime kept ready without code, so that a start need not wait for the engine; 0 for none. Of each combination of `memory`, `tmp`, `network` and `readOnlyRootFilesystem` that functions lately started with, at most four; each takes about 40 MB.',
  }),
  startTimeoutMs: duration({
    name: 'startTimeout',
    fallback: '60s',
    min: '100ms',
    max: '1h',
    description: 'Longest time an instance may take from its start until it is ready.',
  }),
  drainTimeoutMs: optionalDuration({
    name: 'drainTimeout',
    min: '0s',
    max: '1h',
    description:
      'Longest time a server that shuts down waits for running calls. Without it each has the `timeout` of its function.',
  }),
  maxConnections: count({
    name: 'maxConnections',
    fallback: 10_000,
    min: 1,
    max: 1_000_000,
    description: 'Most open connections of clients at once; more are closed at once.',
  }),
  headersTimeoutMs: duration({
    name: 'headersTimeout',
    fallback: '10s',
    min: '100ms',
    max: '10m',
    description: 'Longest time a client may take to send the headers of a request.',
  }),
  maxHeaderBytes: size({
    name: 'maxHeader',
    fallback: '32Ki',
    min: '4Ki',
    max: '1Mi',
    description: 'Largest size of a request’s line and headers together; more is answered with 431.',
  }),
  uploadMaxBytes: size({
    name: 'uploadMax',
    fallback: '256Mi',
    min: '1Ki',
    max: '16Gi',
    description: 'Largest archive of code that may be uploaded.',
  }),
  codeMaxBytes: size({
    name: 'codeMax',
    fallback: '1Gi',
    min: '1Ki',
    max: '64Gi',
    description: 'Largest size of a function’s code after unpacking.',
  }),
  codeMaxFiles: count({
    name: 'codeMaxFiles',
    fallback: 100_000,
    min: 1,
    max: 10_000_000,
    description: 'Most files and folders a function’s code may have.',
  }),
  versionsKept: count({
    name: 'versionsKept',
    fallback: 50,
    min: 0,
    max: 100_000,
    description:
      'Versions of a function that are kept besides those an alias names, a rollback goes back to or that still run; the oldest go first ([versions](versions.md)).',
  }),
  versionsMaxAgeMs: optionalDuration({
    name: 'versionsMaxAge',
    min: '1m',
    max: '36500d',
    description:
      'Versions made longer ago are removed too, unless they are needed as above. Without it age does not matter.',
  }),
  logMaxBytes: size({
    name: 'logMax',
    fallback: '16Mi',
    min: '64Ki',
    max: '16Gi',
    description: 'Disk space for the log of one function; the oldest lines go first.',
  }),
  logMaxLinesPerSecond: count({
    name: 'logMaxLinesPerSecond',
    fallback: 1000,
    min: 1,
    max: 1_000_000,
    description: 'Log lines a second that are kept of one function; more are dropped and counted.',
  }),
  queue: choice({
    name: 'queue',
    of: ['sqlite', 'nats'],
    fallback: 'sqlite',
    description:
      'What keeps asynchronous calls ([async](async.md)): a file in the data directory, or the JetStream of a NATS server.',
  }),
  natsUrl: optionalText({
    name: 'natsUrl',
    allowed: 'addresses such as "nats://host:4222", separated by commas',
    pattern: /^(?:nats|tls):\/\/[^\s,]{1,500}(?:,(?:nats|tls):\/\/[^\s,]{1,500})*$/,
    confidential: true,
    description: 'The NATS servers, for `queue` `nats`; may hold a user and a password.',
  }),
  asyncMaxPayloadBytes: size({
    name: 'asyncMaxPayload',
    fallback: '256Mi',
    min: '1Ki',
    max: '64Gi',
    description: 'Largest body of an asynchronous call, and of an answer that is kept.',
  }),
  asyncMaxQueued: count({
    name: 'asyncMaxQueued',
    fallback: 2_000_000,
    min: 1,
    max: 1_000_000_000,
    description: 'Most asynchronous calls of one namespace that wait or run; more are answered with 429.',
  }),
  asyncKeptMs: duration({
    name: 'asyncKept',
    fallback: '1d',
    min: '1s',
    max: '3650d',
    description: 'How long asynchronous calls that succeeded or were cancelled are kept with their answers.',
  }),
  deadLettersKeptMs: duration({
    name: 'deadLettersKept',
    fallback: '14d',
    min: '1s',
    max: '3650d',
    description: 'How long dead letters are kept.',
  }),
  jobMaxTasks: count({
    name: 'jobMaxTasks',
    fallback: 0,
    min: 0,
    max: 10_000,
    description: 'Most containers of tasks of all [jobs](jobs.md) at once. With `0` four for each core, at least 8.',
  }),
  jobsKeptMs: duration({
    name: 'jobsKept',
    fallback: '7d',
    min: '1s',
    max: '3650d',
    description: 'How long jobs that have ended are kept, with their results and logs.',
  }),
  callbackAllow: optionalText({
    name: 'callbackAllow',
    allowed: 'hosts and address ranges such as "hooks.internal,10.1.0.0/16", separated by commas',
    pattern: /^[0-9A-Za-z.:/_-]{1,253}(?:,[0-9A-Za-z.:/_-]{1,253})*$/,
    description:
      'Hosts and ranges that outcomes may be posted to although they are private; without it only public addresses are called.',
  }),
  builderSecretFile: optionalText({
    name: 'builderSecretFile',
    allowed: 'a path without control characters',
    pattern: /^[^\p{Cc}]{1,4096}$/u,
    description:
      'File with the payload secret of the [remote builder](builder.md); with it `/build` and `/publickey` are served. Whoever has the secret can build and push images on this host.',
  }),
  builderMaxArchiveBytes: size({
    name: 'builderMaxArchive',
    fallback: '256Mi',
    min: '1Mi',
    max: '16Gi',
    description: 'Longest archive the remote builder takes.',
  }),
  builderTimeoutMs: duration({
    name: 'builderTimeout',
    fallback: '15m',
    min: '1s',
    max: '24h',
    description: 'Longest time for one build and its push.',
  }),
  builderNetwork: choice({
    name: 'builderNetwork',
    of: ['bridge', 'none', 'host'],
    fallback: 'bridge',
    description:
      'What the steps of a build reach: what containers on Docker’s own bridge do, nothing, or what this host does.',
  }),
  builderRegistries: optionalText({
    name: 'builderRegistries',
    allowed: 'a path without control characters',
    pattern: /^[^\p{Cc}]{1,4096}$/u,
    description:
      'File with logins of registries, as `docker login` writes it, for the pushes of the remote builder; no build sees it.',
  }),
} as const;

/** The settings as the server uses them: parsed, in range, durations in milliseconds and sizes in bytes. */
export type Config = {
  readonly [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never;
};
