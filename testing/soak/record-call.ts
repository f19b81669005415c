import { type Agent, get } from 'node:http';

/** Kinds of calls of the soak. */
export type CallKind = 'short' | 'long' | 'stream';

/** What became of one call. */
export interface RecordedCall {
  readonly kind: CallKind;
  /** Monotonic milliseconds. */
  readonly startedMs: number;
  readonly tookMs: number;
  /** Version that answered, if it did. */
  readonly version?: string;
  /** Why it counts as failed by the platform; absent when it went well. */
  readonly failure?: string;
}

/** What is asked and what a good answer is. */
export interface Call {
  readonly kind: CallKind;
  readonly url: string;
  /** Whose connections are used; false for a new one. */
  readonly agent: Agent | false;
  /** Why a complete answer of status 200 is wrong, if it is. */
  readonly fault: (body: string) => string | undefined;
}

/** Sends one call and records what became of it. Never repeats and never throws: every failure counts. */
export function recordCall({ kind, url, agent, fault }: Call): Promise<RecordedCall> {
  const startedMs = performance.now();
  const { promise, resolve } = Promise.withResolvers<RecordedCall>();
  const done = (failure?: string, version?: string): void =>
    resolve({
      kind,
      startedMs,
      tookMs: performance.now() - startedMs,
      ...(version === undefined ? {} : { version }),
      ...(failure === undefined ? {} : { failure }),
    });
  const request = get(url, { agent }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (text: string) => (body += text));
    response.once('error', () => {});
    response.once('close', () => {
      if (!response.complete) done('the answer was cut');
      else if (response.statusCode !== 200) done(`${response.statusCode} ${body.slice(0, 200)}`);
      else done(fault(body), body.split('\n', 1)[0]);
    });
  });
  request.once('error', (error: NodeJS.ErrnoException) => done(`${error.code ?? ''} ${error.message}`));
  return promise;
}
