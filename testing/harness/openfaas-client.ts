import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, call } from './call.ts';
import type { TestServer } from './server.ts';

/** What a status says of a function, as far as tests look at it. */
export interface ShownFunction {
  readonly replicas: number;
  readonly availableReplicas: number;
  readonly limits?: Readonly<Record<string, string>>;
  readonly constraints?: readonly string[];
  readonly envProcess?: string;
  readonly envVars?: Readonly<Record<string, string>>;
}

/** Speaks to the compatible API of a server as clients of it do. */
export interface OpenFaasClient {
  /** Sends a request with a JSON body. */
  send(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Deploys as clients do, first as an update, and resolves when an instance of it serves. Throws unless it is accepted. */
  deploy(deployment: { readonly service: string } & Readonly<Record<string, unknown>>): Promise<void>;
  /** What is shown of a function. */
  show(name: string): Promise<ShownFunction>;
  /** Resolves when what is shown of a function satisfies the condition; throws after `limitMs`. */
  until(name: string, condition: (shown: ShownFunction) => boolean, limitMs?: number): Promise<ShownFunction>;
}

/** Makes an {@link OpenFaasClient} with the server's own token. */
export function createOpenFaasClient(server: Pick<TestServer, 'url' | 'file' | 'output'>): OpenFaasClient {
  const client: OpenFaasClient = {
    send(method, path, body) {
      const headers = { authorization: `Bearer ${server.file.token}` };
      const text = body === undefined ? {} : { body: JSON.stringify(body) };
      return call(server.url + path, { method, headers, ...text });
    },
    async deploy(deployment) {
      const updated = await client.send('PUT', '/system/functions', deployment);
      const answer = updated.status === 404 ? await client.send('POST', '/system/functions', deployment) : updated;
      if (answer.status !== 202) throw new Error(`the deploy was answered with ${answer.status}: ${answer.text}`);
      await client.until(deployment.service, ({ availableReplicas }) => availableReplicas > 0);
    },
    async show(name) {
      return JSON.parse((await client.send('GET', `/system/function/${name}`)).text) as ShownFunction;
    },
    async until(name, condition, limitMs = 30_000) {
      for (const startedAt = performance.now(); ; await sleep(50)) {
        const shown = await client.show(name);
        if (condition(shown)) return shown;
        if (performance.now() - startedAt > limitMs) {
          throw new Error(`it did not come true of ${name}: ${JSON.stringify(shown)}; server: ${server.output()}`);
        }
      }
    },
  };
  return client;
}
