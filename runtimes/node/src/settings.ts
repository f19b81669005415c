/** How a user says a handler is to be called. */
export type Signature = 'auto' | 'fetch' | 'event' | 'node';

/** What the platform tells the runtime through its environment. */
export interface Settings {
  /** Unix socket to answer on; it appears when the handler is loaded. */
  readonly socket: string;
  readonly codeDir: string;
  /** Handler file in the code directory; undefined finds it. */
  readonly file: string | undefined;
  /** Name of the export that handles calls. */
  readonly exportName: string | undefined;
  readonly signature: Signature;
  readonly secretsDir: string;
  readonly timeoutMs: number;
  readonly namespace: string;
  readonly functionName: string;
  readonly version: number;
}

/** Reads the settings; throws an error with one sentence for what is missing or wrong. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const signature = env['EBB_SIGNATURE'] || 'auto';
  if (signature !== 'auto' && signature !== 'fetch' && signature !== 'event' && signature !== 'node') {
    throw new Error(`EBB_SIGNATURE is "${signature}" but must be auto, fetch, event or node`);
  }
  const [file, exportName] = (env['EBB_HANDLER'] ?? '').split('#', 2);
  return {
    socket: required(env, 'EBB_SOCKET'),
    codeDir: required(env, 'EBB_CODE_DIR'),
    file: file || undefined,
    exportName: exportName || undefined,
    signature,
    secretsDir: env['EBB_SECRETS_DIR'] || '/var/openfaas/secrets',
    timeoutMs: Number(env['EBB_TIMEOUT_MS']) || 60_000,
    namespace: env['EBB_NAMESPACE'] ?? '',
    functionName: env['EBB_FUNCTION'] ?? '',
    version: Number(env['EBB_VERSION']) || 0,
  };
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value) return value;
  throw new Error(`${name} is missing in the environment: this program is started by an engine`);
}
