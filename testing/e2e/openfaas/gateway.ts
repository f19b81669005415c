import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { type Answer, call, type CallOptions } from '../../harness/call.ts';
import { buildContractImage } from '../../harness/contract-image.ts';
import { startTestServer, type TestServer } from '../../harness/server.ts';

/** Namespace that clients use when nobody names one. */
export const DEFAULT_NAMESPACE = 'openfaas-fn';
/** Where the suite takes callbacks; a server of its own may post there although it is a loopback address. */
export const RECEIVER_HOST = '127.0.0.2';
const PASSWORD = 'sesame-for-tests';
const STORE = join(import.meta.dirname, '../../fixtures/openfaas-store');
const READY_MS = 30_000;

/** A function as the API takes it. */
export interface Deployment {
  readonly service: string;
  readonly image?: string;
  readonly [field: string]: unknown;
}

/** A function as the API shows it; what a test looks at is checked there. */
export interface Status {
  readonly name: string;
  readonly image: string;
  readonly namespace: string;
  readonly replicas?: number;
  readonly availableReplicas?: number;
  readonly invocationCount?: number;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** A gateway under test, spoken to by plain HTTP as clients send it. */
export interface Gateway extends AsyncDisposable {
  readonly url: string;
  /** `Basic` credentials, or undefined where the gateway has authentication off. */
  readonly authorization: string | undefined;
  /** Image that runs `fprocess` for each request, with the body as its input. */
  readonly image: string;
  /** The server, where the suite started its own; absent for one that was there. */
  readonly own: TestServer | undefined;
  /** A name that nothing has yet; what is deployed under it is removed in the end. */
  name(word: string): string;
  /** A request with credentials; a body that is no text is sent as JSON. */
  system(method: string, path: string, body?: unknown, options?: Pick<CallOptions, 'headers'>): Promise<Answer>;
  /** A request without credentials. */
  open(path: string, options?: CallOptions): Promise<Answer>;
  /** Calls a function, without credentials. */
  invoke(name: string, options?: CallOptions & { readonly rest?: string }): Promise<Answer>;
  /** Deploys with POST and expects it to be accepted. */
  deploy(deployment: Deployment): Promise<void>;
  /** Deploys and waits until it would serve a request. */
  serve(deployment: Deployment): Promise<Status>;
  status(name: string, namespace?: string): Promise<Status>;
  /** Waits until one instance at least would serve a request now. */
  ready(name: string, namespace?: string): Promise<Status>;
  remove(name: string, namespace?: string): Promise<Answer>;
  /** Makes a namespace; it is removed in the end. */
  makeNamespace(word: string): Promise<string>;
}

/**
 * Opens the gateway that the environment names, else starts a server of its own on Docker:
 * `OPENFAAS_TEST_URL`, `OPENFAAS_TEST_USER` (`admin`), `OPENFAAS_TEST_PASSWORD`, `OPENFAAS_TEST_IMAGE`
 * (`functions/alpine:latest`; it has to run `fprocess`).
 */
export async function openGateway(socketPath: string): Promise<Gateway> {
  const env = process.env;
  const given = env['OPENFAAS_TEST_URL'];
  if (given !== undefined && given !== '') {
    const password = env['OPENFAAS_TEST_PASSWORD'];
    return connect({
      url: given.replace(/\/+$/, ''),
      credentials: password === undefined ? undefined : `${env['OPENFAAS_TEST_USER'] ?? 'admin'}:${password}`,
      image: env['OPENFAAS_TEST_IMAGE'] ?? 'functions/alpine:latest',
      own: undefined,
      close: () => Promise.resolve(),
    });
  }
  const docker = new Dockerode({ socketPath });
  const image = `ebb-test/openfaas-contract:${randomBytes(4).toString('hex')}`;
  await buildContractImage(docker, { tag: image });
  const removeImage = async (): Promise<void> => {
    await docker.getImage(image).remove({ force: true });
  };
  try {
    const own = await startTestServer({
      engine: 'docker',
      env: { EBB_ADMIN_SECRET: PASSWORD, EBB_STORE_FILES: STORE, EBB_CALLBACK_ALLOW: RECEIVER_HOST },
    });
    return connect({
      url: own.url,
      credentials: `admin:${PASSWORD}`,
      image,
      own,
      async close() {
        await own[Symbol.asyncDispose]();
        await removeImage();
      },
    });
  } catch (error) {
    await removeImage();
    throw error;
  }
}

interface Place {
  readonly url: string;
  readonly credentials: string | undefined;
  readonly image: string;
  readonly own: TestServer | undefined;
  readonly close: () => Promise<void>;
}

function connect({ url, credentials, image, own, close }: Place): Gateway {
  const authorization = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
  const run = randomBytes(3).toString('hex');
  const deployed = new Map<string, { readonly name: string; readonly namespace: string }>();
  const namespaces: string[] = [];
  const inNamespace = (path: string, namespace: string): string =>
    namespace === DEFAULT_NAMESPACE ? path : `${path}?namespace=${namespace}`;

  const gateway: Gateway = {
    url,
    authorization,
    image,
    own,
    name: (word) => `t${run}-${word}`,
    system(method, path, body, { headers = {} } = {}) {
      const login: Record<string, string> = authorization === undefined ? {} : { authorization };
      const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
      return call(`${url}${path}`, {
        method,
        // As Go clients send it: with the length, whatever the method.
        headers: { ...login, ...(text === undefined ? {} : { 'content-length': lengthOf(text) }), ...headers },
        ...(text === undefined ? {} : { body: text }),
      });
    },
    open: (path, options) => call(`${url}${path}`, options),
    invoke: (name, { rest = '', ...options } = {}) => call(`${url}/function/${name}${rest}`, options),
    async deploy(deployment) {
      const { service, namespace } = deployment;
      const where = typeof namespace === 'string' ? namespace : DEFAULT_NAMESPACE;
      deployed.set(`${service}.${where}`, { name: service, namespace: where });
      const answer = await gateway.system('POST', '/system/functions', { image, envProcess: 'cat', ...deployment });
      if (answer.status !== 202 && answer.status !== 200) {
        throw new Error(`deploying ${service} was answered with ${answer.status}: ${answer.text}`);
      }
    },
    async serve(deployment) {
      await gateway.deploy(deployment);
      const { service, namespace } = deployment;
      return gateway.ready(service, typeof namespace === 'string' ? namespace : DEFAULT_NAMESPACE);
    },
    async status(name, namespace = DEFAULT_NAMESPACE) {
      const answer = await gateway.system('GET', inNamespace(`/system/function/${name}`, namespace));
      if (answer.status !== 200) throw new Error(`GET of ${name} was answered with ${answer.status}: ${answer.text}`);
      return JSON.parse(answer.text) as Status;
    },
    async ready(name, namespace) {
      const until = performance.now() + READY_MS;
      for (;;) {
        const status = await gateway.status(name, namespace);
        if ((status.availableReplicas ?? 0) > 0) return status;
        if (performance.now() > until) throw new Error(`${name} did not become ready: ${JSON.stringify(status)}`);
        await sleep(25);
      }
    },
    async remove(name, namespace = DEFAULT_NAMESPACE) {
      const answer = await gateway.system('DELETE', '/system/functions', { functionName: name, namespace });
      deployed.delete(`${name}.${namespace}`);
      return answer;
    },
    async makeNamespace(word) {
      const name = gateway.name(word);
      const answer = await gateway.system('POST', '/system/namespace/', { name, labels: { openfaas: '1' } });
      if (answer.status > 202) throw new Error(`the namespace was answered with ${answer.status}: ${answer.text}`);
      namespaces.push(name);
      return name;
    },
    async [Symbol.asyncDispose]() {
      // What its own server has ends with it.
      if (own) return close();
      for (const { name, namespace } of deployed.values()) await gateway.remove(name, namespace).catch(() => undefined);
      for (const name of namespaces) {
        await gateway.system('DELETE', `/system/namespace/${name}`, { name, labels: { openfaas: '1' } });
      }
      await close();
    },
  };
  return gateway;
}

function lengthOf(text: string): string {
  return String(Buffer.byteLength(text));
}

/** What an answer holds as JSON. */
export function jsonOf(answer: Answer): unknown {
  return JSON.parse(Buffer.from(answer.text, 'latin1').toString('utf8')) as unknown;
}

/** A status and the beginning of a text, for messages that say what was answered. */
export function shown({ status, text }: Answer): string {
  return `${status} ${text.slice(0, 200)}`;
}
