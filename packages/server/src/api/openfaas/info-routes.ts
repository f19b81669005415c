import type { HealthResource, VersionInfo } from '@ebb/contract';
import type { OpenFaasRoute } from './openfaas-route.ts';

/** What the routes about the server speak to. */
export interface InfoRoutesOptions {
  readonly info: VersionInfo;
  readonly health: () => HealthResource | Promise<HealthResource>;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'arm64', arm: 'armhf' };

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Ebb</title>
<h1>Ebb</h1>
<p>There is no web console yet. Use the command line: <code>ebb list</code>, <code>ebb deploy</code>, <code>ebb logs NAME</code>;
<code>ebb help</code> shows the rest.</p>
</html>
`;

/** What the server is and how it is, and the page that people find who open its address. */
export function infoRoutes({ info, health }: InfoRoutesOptions): readonly OpenFaasRoute[] {
  const release = info.version;
  // Clients show every one of these, and fail where one is missing.
  const version = { sha: `v${release}`, release, commit_message: `Ebb ${release}` };
  const healthz = async () => {
    const { status } = await health();
    return status === 'draining' ? { status: 503, text: 'draining' } : { status: 200, text: 'OK' };
  };
  const page = () => ({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, text: PAGE });
  return [
    {
      method: 'GET',
      path: '/system/info',
      scope: 'server:read',
      run: () => ({
        status: 200,
        json: {
          provider: { provider: info.name, orchestration: info.engine, version },
          version,
          arch: ARCHITECTURES[process.arch] ?? process.arch,
        },
      }),
    },
    { method: 'GET', path: '/healthz', scope: 'open', run: healthz },
    { method: 'HEAD', path: '/healthz', scope: 'open', run: healthz },
    { method: 'GET', path: '/', scope: 'open', run: () => ({ status: 307, headers: { location: '/ui/' } }) },
    { method: 'GET', path: '/ui', scope: 'server:read', run: page },
  ];
}
