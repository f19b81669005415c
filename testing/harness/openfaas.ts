import type { TestServer } from './server.ts';

/** Asks the compatible surface of a server, with its login unless `headers` say otherwise. */
export function askSystem(server: TestServer, path: string, init: RequestInit = {}): Promise<Response> {
  const login = `Basic ${Buffer.from(`admin:${server.file.token}`).toString('base64')}`;
  return fetch(`${server.url}${path}`, { ...init, headers: { authorization: login, ...init.headers } });
}
