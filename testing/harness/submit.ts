import { Agent, request as httpRequest } from 'node:http';
import type { TestServer } from './server.ts';

/** What a submit was answered with. */
export interface Submit {
  readonly status: number;
  /** The id of the call, where it was accepted. */
  readonly id: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

/** What is submitted. */
export interface SubmitOptions {
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly agent?: Agent;
}

/** Posts to `/async-function/` and the path; rejects when the connection breaks before there is an answer. */
export function submit(server: Pick<TestServer, 'url'>, path: string, options: SubmitOptions = {}): Promise<Submit> {
  const { promise, resolve, reject } = Promise.withResolvers<Submit>();
  const { body = 'hello', method = 'POST', agent } = options;
  const headers = { 'content-length': String(Buffer.byteLength(body)), ...options.headers };
  const request = httpRequest(`${server.url}/async-function/${path}`, { method, headers, agent }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.once('error', reject);
    response.once('end', () => {
      const { statusCode = 0, headers: said } = response;
      resolve({ status: statusCode, id: statusCode === 202 ? String(said['x-call-id']) : '', headers: said, text });
    });
  });
  request.once('error', reject);
  request.end(body);
  return promise;
}

/** Calls that were answered with 202, and what became of the others. */
export interface Submits {
  readonly ids: readonly string[];
  readonly failures: readonly string[];
}

/** Submits from `clients` connections, one call after the other on each, until it is stopped. */
export function startSubmits(
  server: Pick<TestServer, 'url'>,
  path: string,
  clients: number,
  options: Omit<SubmitOptions, 'agent'> = {},
): { stop(): Promise<Submits> } {
  const { url } = server;
  const ids: string[] = [];
  const failures: string[] = [];
  let isStopping = false;
  const loop = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isStopping) {
      try {
        const { status, id, text } = await submit({ url }, path, { ...options, agent });
        if (status === 202) ids.push(id);
        else failures.push(`${status} ${text}`);
      } catch (error) {
        failures.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    agent.destroy();
  };
  const loops = Promise.all(Array.from({ length: clients }, loop));
  return {
    async stop() {
      isStopping = true;
      await loops;
      return { ids, failures };
    },
  };
}
