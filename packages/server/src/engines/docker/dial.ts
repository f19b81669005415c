import type Dockerode from 'dockerode';

/** The part of dockerode's transport that is used directly. */
interface Modem {
  dial(
    request: {
      readonly path: string;
      readonly method: 'GET' | 'POST';
      readonly options?: Readonly<Record<string, unknown>>;
      readonly abortSignal: AbortSignal;
      readonly isStream: boolean;
      readonly statusCodes: Readonly<Record<number, true | string>>;
    },
    done: (error: unknown, answer: unknown) => void,
  ): void;
}

const STATUS_CODES = { 200: true, 400: 'bad parameter', 404: 'not found', 500: 'server error' } as const;

/** Asks the daemon a question whose method in dockerode takes no abort signal, and returns the JSON it answers. */
export function ask<T>(
  docker: Dockerode,
  path: string,
  abortSignal: AbortSignal,
  query?: Readonly<Record<string, unknown>>,
): Promise<T> {
  return dial(docker, 'GET', path, abortSignal, false, query) as Promise<T>;
}

/**
 * Like {@link ask}, but for an answer that is a stream of bytes; `abortSignal` ends that too. A stream throws when its
 * connection breaks, of which dockerode’s own methods say nothing once the answer has begun.
 */
export function askStream(
  docker: Dockerode,
  path: string,
  abortSignal: AbortSignal,
  query?: Readonly<Record<string, unknown>>,
  method: 'GET' | 'POST' = 'GET',
): Promise<AsyncIterable<Uint8Array>> {
  return dial(docker, method, path, abortSignal, true, query) as Promise<AsyncIterable<Uint8Array>>;
}

function dial(
  docker: Dockerode,
  method: 'GET' | 'POST',
  path: string,
  abortSignal: AbortSignal,
  isStream: boolean,
  query?: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    (docker.modem as Modem).dial(
      {
        // The transport appends the query only to a path that ends so.
        path: query === undefined ? path : `${path}?`,
        method,
        ...(query === undefined ? {} : { options: query }),
        abortSignal,
        isStream,
        statusCodes: STATUS_CODES,
      },
      (error, answer) => (error ? reject(error) : resolve(answer)),
    );
  });
}
