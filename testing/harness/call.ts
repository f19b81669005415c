import { type Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http';

/** An answer as a test wants it. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What a call is made with beside its URL. */
export interface CallOptions {
  readonly method?: string;
  /** `Host` may be among them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Pieces are sent one after the other, in chunks. */
  readonly body?: string | readonly string[];
  readonly agent?: Agent;
}

/** Makes one call, on a connection of its own unless an agent is given. */
export function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const { method = options.body === undefined ? 'GET' : 'POST', headers = {}, body, agent = false } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent }, (response) => {
      let text = '';
      response.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    if (typeof body === 'object') for (const piece of body) request.write(piece);
    request.end(typeof body === 'string' ? body : undefined);
  });
}
