import { createHmac } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';

/** What a client sends to a remote builder. */
export interface BuildRequestOptions {
  readonly config: unknown;
  /** Files of the context by name. */
  readonly context: Readonly<Record<string, string | Uint8Array>>;
  /** `com.openfaas.secrets`, as it is sent. */
  readonly secrets?: string;
  /** What names begin with, such as `./`. */
  readonly prefix?: string;
}

/** The body of a request to a remote builder, as clients send it. */
export function packBuild({ config, context, secrets, prefix = '' }: BuildRequestOptions): Promise<Buffer> {
  const tar = pack();
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  tar.entry({ name: `${prefix}context/`, type: 'directory' });
  for (const [name, content] of Object.entries(context))
    tar.entry({ name: `${prefix}context/${name}` }, Buffer.from(content));
  tar.entry({ name: `${prefix}com.openfaas.docker.config` }, text);
  if (secrets !== undefined) tar.entry({ name: `${prefix}com.openfaas.secrets` }, secrets);
  tar.finalize();
  return buffer(tar);
}

/** The headers of such a request. */
export function signBuild(body: Uint8Array, secret: string): Record<string, string> {
  const digest = createHmac('sha256', secret).update(body).digest('hex');
  return { 'content-type': 'application/octet-stream', 'x-build-signature': `sha256=${digest}` };
}
