import type { Duplex } from 'node:stream';
import { randomUUID } from 'node:crypto';
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall, status } from '@grpc/grpc-js';
import type Dockerode from 'dockerode';
import { type BuildMessage, decodeMessage, encodeMessage } from './build-messages.ts';

type Message = Readonly<Record<string, unknown>>;

const SERVING = 1;

/** What BuildKit may ask for while it builds: whether anybody is there, secrets by id, and credentials, of which there are none. */
const METHODS = {
  Check: ['/grpc.health.v1.Health/Check', 'HealthRequest', 'HealthResponse'],
  GetSecret: ['/moby.buildkit.secrets.v1.Secrets/GetSecret', 'SecretRequest', 'SecretResponse'],
  Credentials: ['/moby.filesync.v1.Auth/Credentials', 'CredentialsRequest', 'CredentialsResponse'],
} as const satisfies Readonly<Record<string, readonly [path: string, request: BuildMessage, response: BuildMessage]>>;

/** A connection on which the builder asks its client for what a build needs. */
export interface BuildSession extends Disposable {
  readonly id: string;
}

/** The part of dockerode's transport that is used directly. */
interface Modem {
  dial(
    request: {
      readonly path: string;
      readonly method: 'POST';
      readonly hijack: true;
      readonly headers: Readonly<Record<string, string>>;
      readonly statusCodes: Readonly<Record<number, true | string>>;
      readonly abortSignal: AbortSignal;
    },
    done: (error: unknown, socket: Duplex | undefined) => void,
  ): void;
}

/**
 * Opens the session of one build. It gives out the build's own secrets and nothing else: no credentials of the server,
 * no files, no agent.
 */
export async function openBuildSession(
  docker: Dockerode,
  secrets: Readonly<Record<string, Uint8Array>>,
  abortSignal: AbortSignal,
): Promise<BuildSession> {
  const id = randomUUID();
  const socket = await dial(docker, id, abortSignal);
  const server = new Server();
  server.addService(serviceOf(METHODS), {
    Check: (_call: ServerUnaryCall<Message, Message>, answer: sendUnaryData<Message>) =>
      answer(null, { status: SERVING }),
    Credentials: (_call: ServerUnaryCall<Message, Message>, answer: sendUnaryData<Message>) => answer(null, {}),
    GetSecret({ request }: ServerUnaryCall<Message, Message>, answer: sendUnaryData<Message>) {
      const data = Object.hasOwn(secrets, String(request['ID'])) ? secrets[String(request['ID'])] : undefined;
      if (data) answer(null, { data });
      else answer({ code: status.NOT_FOUND, details: 'there is no such secret' });
    },
  });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  injector.injectConnection(socket);
  return {
    id,
    [Symbol.dispose]() {
      server.forceShutdown();
      socket.destroy();
    },
  };
}

function dial(docker: Dockerode, id: string, abortSignal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    (docker.modem as Modem).dial(
      {
        path: '/session',
        method: 'POST',
        hijack: true,
        headers: {
          Upgrade: 'h2c',
          'X-Docker-Expose-Session-Uuid': id,
          'X-Docker-Expose-Session-Name': 'ebb',
        },
        statusCodes: { 101: true, 200: true, 400: 'bad parameter', 500: 'server error' },
        abortSignal,
      },
      (error, socket) => (socket ? resolve(socket) : reject(error)),
    );
  });
}

function serviceOf(methods: typeof METHODS) {
  return Object.fromEntries(
    Object.entries(methods).map(([name, [path, request, response]]) => [
      name,
      {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: Message) => encodeMessage(request, value),
        requestDeserialize: (bytes: Buffer) => decodeMessage(request, bytes),
        responseSerialize: (value: Message) => encodeMessage(response, value),
        responseDeserialize: (bytes: Buffer) => decodeMessage(response, bytes),
      },
    ]),
  );
}
