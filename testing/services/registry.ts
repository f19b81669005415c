import { startWebService, type WebService } from './web-service.ts';

/** An image registry of a test's own, empty at first. */
export interface RegistryService extends WebService {
  /** What names of images in it begin with, such as `127.0.0.1:5000`; a Docker daemon speaks plain HTTP to it. */
  readonly host: string;
}

/** Starts Debian's `docker-registry` on a free port of the loopback interface, without a login. */
export async function startRegistry(): Promise<RegistryService> {
  const service = await startWebService({
    program: 'docker-registry',
    readyPath: '/v2/',
    args: (_port, directory) => ['serve', `${directory}/config.yml`],
    files: (port, directory) => ({
      // JSON is YAML. Deleting is on, so that tests can take an image away.
      'config.yml': JSON.stringify({
        version: 0.1,
        log: { level: 'warn' },
        storage: { filesystem: { rootdirectory: `${directory}/data` }, delete: { enabled: true } },
        http: { addr: `127.0.0.1:${port}` },
      }),
    }),
  });
  return { ...service, host: `127.0.0.1:${service.port}` };
}
