import { setTimeout as sleep } from 'node:timers/promises';
import {
  type JetStreamClient,
  type JetStreamManager,
  DiscardPolicy,
  jetstream,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { EbbError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { classifyNatsServer } from './classify-nats-server.ts';

/** How a {@link NatsLink} is made. */
export interface NatsLinkOptions {
  /** Addresses such as `nats://user:password@host:4222`, separated by commas. */
  readonly servers: string;
  /** Shown in NATS' own lists of its clients. */
  readonly name: string;
  /** The stream, and the subjects it keeps. */
  readonly stream: string;
  readonly subjects: string;
  /** How long one request waits for its answer, and connecting for a server. */
  readonly requestTimeoutMs: number;
  readonly logger?: Logger | undefined;
  /** Called after the connection was lost and is there again. */
  readonly onReconnect: () => void;
}

/** A connection to NATS that is made again for ever, and a stream that keeps the newest message of each subject. */
export interface NatsLink extends AsyncDisposable {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly stream: string;
  readonly maxPayloadBytes: number;
  readonly isClosed: boolean;
  /** Makes the stream where it is missing. */
  ensureStream(): Promise<void>;
  /** Waits until there is a connection, at most so long; false when there is none then. */
  connected(timeoutMs: number): Promise<boolean>;
}

const STREAM_NOT_FOUND = 10_059;
/** Between two looks at whether the connection is there again. */
const LOOK_MS = 20;

/**
 * Connects, checks that the server can keep a queue, and makes the stream where it is missing. Rejects with STORE_FAILED
 * when no server answers or it cannot be used.
 */
export async function connectNats(options: NatsLinkOptions): Promise<NatsLink> {
  const { stream, requestTimeoutMs, logger } = options;
  const { hosts, user, pass, tls } = parseServers(options.servers);
  const place = hosts.join(', ');
  const nc = await connect({
    servers: hosts,
    name: options.name,
    ...(user !== undefined && { user, pass }),
    ...(tls && { tls: {} }),
    timeout: requestTimeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 100,
    ignoreAuthErrorAbort: true,
    pingInterval: requestTimeoutMs,
    maxPingOut: 2,
    noAsyncTraces: true,
  }).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EbbError('STORE_FAILED', `no NATS server can be used at ${place} (${why}); check "natsUrl"`, { cause });
  });
  try {
    checkServer(nc, place, logger);
    const jsm = await jetstreamManager(nc, { timeout: requestTimeoutMs });
    await ensureStream(jsm, stream, options.subjects);
    let isUp = true;
    void watch(nc, (up) => {
      isUp = up;
      logger?.[up ? 'info' : 'warn']({ servers: hosts }, up ? 'NATS is there again' : 'the connection to NATS is lost');
      if (up) options.onReconnect();
    });
    return {
      js: jetstream(nc, { timeout: requestTimeoutMs }),
      jsm,
      stream,
      get maxPayloadBytes() {
        return nc.info?.max_payload ?? 0;
      },
      ensureStream: () => ensureStream(jsm, stream, options.subjects),
      get isClosed() {
        return nc.isClosed();
      },
      async connected(timeoutMs) {
        const until = performance.now() + timeoutMs;
        while (!isUp && performance.now() < until && !nc.isClosed()) await sleep(LOOK_MS);
        return isUp;
      },
      [Symbol.asyncDispose]: () => nc.close(),
    };
  } catch (error) {
    await nc.close();
    if (error instanceof EbbError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new EbbError('STORE_FAILED', `the NATS server at ${place} cannot keep the queue (${why})`, { cause: error });
  }
}

async function watch(nc: NatsConnection, onChange: (isUp: boolean) => void): Promise<void> {
  for await (const { type } of nc.status()) {
    if (type === 'disconnect') onChange(false);
    if (type === 'reconnect') onChange(true);
  }
}

function checkServer(nc: NatsConnection, place: string, logger: Logger | undefined): void {
  const { version = 'unknown', headers = false, jetstream: hasJetStream = false, max_payload = 0 } = nc.info ?? {};
  const verdict = classifyNatsServer({ version, headers, jetstream: hasJetStream, maxPayloadBytes: max_payload });
  if (verdict.kind === 'refused') {
    throw new EbbError('STORE_FAILED', `the NATS server at ${place} ${verdict.message}`);
  }
  if (verdict.warning !== undefined) logger?.warn({ version }, verdict.warning);
}

/**
 * Makes the stream, or checks that the one that is there loses nothing. Its replicas and limits are its owner's affair,
 * but at a limit it has to refuse new messages instead of dropping old ones.
 */
async function ensureStream(jsm: JetStreamManager, name: string, subjects: string): Promise<void> {
  const wanted = {
    subjects: [subjects],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    max_msgs: -1,
    max_age: 0,
    allow_direct: true,
  } satisfies Partial<StreamConfig>;
  const config: Partial<StreamConfig> | undefined = await jsm.streams.info(name).then(
    (info) => info.config,
    (error: unknown) => {
      if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return undefined;
      throw error;
    },
  );
  if (!config) {
    await jsm.streams.add({ name, description: 'Asynchronous calls of Ebb', ...wanted });
    return;
  }
  for (const field of ['storage', 'retention', 'discard', 'max_msgs_per_subject', 'max_msgs', 'max_age'] as const) {
    if (config[field] === wanted[field]) continue;
    const is = `${field}: ${String(config[field])}`;
    throw new EbbError(
      'STORE_FAILED',
      `the NATS stream "${name}" has "${is}", which must be "${String(wanted[field])}" so that it loses nothing; change or remove the stream`,
    );
  }
}

interface ParsedServers {
  readonly hosts: readonly string[];
  readonly user?: string | undefined;
  readonly pass?: string | undefined;
  readonly tls: boolean;
}

/** Takes addresses apart; user and password are the first address's. */
function parseServers(servers: string): ParsedServers & { readonly hosts: string[] } {
  const urls = servers.split(',').map((text) => {
    const url = URL.parse(text);
    if (url) return url;
    throw new EbbError('STORE_FAILED', '"natsUrl" must be addresses such as "nats://host:4222", separated by commas');
  });
  const credentials = urls.find((url) => url.username !== '');
  return {
    hosts: urls.map((url) => url.host),
    tls: urls.some((url) => url.protocol === 'tls:'),
    ...(credentials && {
      user: decodeURIComponent(credentials.username),
      pass: decodeURIComponent(credentials.password),
    }),
  };
}
