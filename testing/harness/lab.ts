import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { DEFAULT_NAMESPACE, type FunctionSpecInput } from '@ebb/contract';
import { ROOT, type TestServer } from './server.ts';

const LAB = path.join(ROOT, 'testing/fixtures/lab');

/** Deploys the function that does what a test asks for, under a name of the test's choice. */
export async function deployLab(server: TestServer, name: string, options: readonly string[] = []): Promise<void> {
  await server.ebbOk(['deploy', LAB, '--name', name, ...options]);
}

/** Deploys the same function with a spec of the test's own; resolves when an instance is ready. */
export async function deployLabAs(server: TestServer, name: string, spec: Partial<FunctionSpecInput>): Promise<void> {
  const archive = execFileSync('tar', ['-C', LAB, '-cf', '-', '.']);
  const { digest } = await server.client.code.upload(DEFAULT_NAMESPACE, new Uint8Array(archive), 'tar');
  const ref = { namespace: DEFAULT_NAMESPACE, name };
  await server.client.functions.deploy(ref, { spec: { runtime: 'node', ...spec }, code: digest });
}

/** Waits until a function's log has a line with the text; throws after ten seconds. */
export async function waitForLog(server: TestServer, name: string, text: string): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  for await (const line of server.client.functions.logs(
    { namespace: DEFAULT_NAMESPACE, name },
    { follow: true },
    { signal },
  )) {
    if (line.text.includes(text)) return;
  }
  throw new Error(`the log of ${name} ended without "${text}"`);
}
