import type { Config } from '../config/config-schema.ts';
import type { Queue } from '../store/queue.ts';
import type { ReloadOutcome } from './reload.ts';

/** What a server is started with. */
export interface StartOptions {
  /** Settings from the command line, by name. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** The environment to read settings from; the process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Level of the server's own log when no setting says one; a terminal wants less than a log file. */
  readonly defaultLogLevel?: Config['logLevel'];
  /** Version of the product, as `/v1/version` shows it. */
  readonly version: string;
  /** Takes over from the server that runs on the data directory, if one does, without losing a request. */
  readonly takeover?: boolean;
  /** Puts something between the server and its queue: for tests that stop a server at a certain step. */
  readonly aroundQueue?: (queue: Queue) => Queue;
}

/** A server that runs. */
export interface RunningServer extends AsyncDisposable {
  /** Where the gateway and the control API answer, as a client on this machine reaches them. */
  readonly url: string;
  readonly metricsUrl?: string;
  readonly engine: string;
  readonly dataDir: string;
  /** The admin secret, at the start that made it. */
  readonly adminSecret?: string;
  /** Token for clients on this machine; valid until the server stops. */
  readonly localToken: string;
  readonly firstStart: boolean;
  readonly functionCount: number;
  /** Sentences the person who started the server should read. */
  readonly warnings: readonly string[];
  /** Process id of the server this one took over from, which may still finish what it has. */
  readonly predecessor?: number;
  /** Resolves with the process id of a successor once it serves; then {@link close} finishes what is left here. */
  readonly replaced: Promise<number>;
  /** Reads the settings again: what can change while the server runs does, and the log says what it came to. */
  reload(): ReloadOutcome;
  /** Drains: refuses new calls, lets running ones end, stops the instances, releases everything. Idempotent. */
  close(): Promise<void>;
}
