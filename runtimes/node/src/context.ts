import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Settings } from './settings.ts';

/** Writes one line of JSON with level, message and the given fields to the function's log. */
export type LogWrite = (message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** What a handler is told about the call it answers, and what it may ask for. */
export interface Context {
  /** Id of the call, the same over all its attempts. */
  readonly callId: string;
  readonly function: string;
  readonly namespace: string;
  readonly version: number;
  /** When the call ends at the latest, in milliseconds since the Unix epoch. */
  readonly deadline: number;
  /** Aborted when the caller went away or the platform gave up on the call. */
  readonly signal: AbortSignal;
  readonly log: Readonly<Record<'debug' | 'info' | 'warn' | 'error', LogWrite>>;
  /** Milliseconds left until the deadline; 0 when it has passed. */
  remainingMs(): number;
  /** The value of one of the function's secrets. Rejects when the function has no such secret. */
  secret(name: string): Promise<string>;
}

/** The id of the call a request belongs to, as the gateway set it. */
export function callIdOf(request: IncomingMessage): string | undefined {
  const id = request.headers['x-call-id'];
  return typeof id === 'string' ? id : undefined;
}

/** Makes the context of one call; what costs anything is made when it is asked for. */
export function createContext(settings: Settings, request: IncomingMessage, response: ServerResponse): Context {
  return new CallContext(settings, request, response);
}

class CallContext implements Context {
  readonly #settings: Settings;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #startedAt = Date.now();
  #signal: AbortSignal | undefined;

  constructor(settings: Settings, request: IncomingMessage, response: ServerResponse) {
    this.#settings = settings;
    this.#request = request;
    this.#response = response;
  }

  get callId(): string {
    return callIdOf(this.#request) ?? '';
  }

  get function(): string {
    return this.#settings.functionName;
  }

  get namespace(): string {
    return this.#settings.namespace;
  }

  get version(): number {
    return this.#settings.version;
  }

  get deadline(): number {
    return Number(this.#request.headers['x-ebb-deadline']) || this.#startedAt + this.#settings.timeoutMs;
  }

  get signal(): AbortSignal {
    this.#signal ??= abortSignalOf(this.#response);
    return this.#signal;
  }

  get log(): Context['log'] {
    const write = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
      process.stdout.write(`${JSON.stringify({ level, message, ...fields })}\n`);
    };
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  }

  remainingMs(): number {
    return Math.max(0, this.deadline - Date.now());
  }

  async secret(name: string): Promise<string> {
    const { readFile } = await import('node:fs/promises');
    if (/^[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?$/.test(name) && !name.includes('..')) {
      try {
        return await readFile(`${this.#settings.secretsDir}/${name}`, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    throw new Error(`the function has no secret "${name}": name it under "secrets" in its spec`);
  }
}

/** A signal that aborts when the connection of a response ends before the response does. */
function abortSignalOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort(new DOMException('the caller went away', 'AbortError'));
  if (response.destroyed && !response.writableFinished) abort();
  else response.once('close', () => response.writableFinished || abort());
  return controller.signal;
}
