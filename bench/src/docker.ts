import { request, type RequestOptions } from 'node:http';
import Dockerode from 'dockerode';
import type { Report } from './report.ts';
import type { MeasuredEbb } from './start-ebb.ts';
import { sleep } from './wait.ts';

/** The daemon, if one answers; else the scenario is told to be left out. */
export async function connectDocker(report: Report): Promise<Dockerode | undefined> {
  const docker = new Dockerode({ socketPath: process.env['EBB_DOCKER_SOCKET'] ?? '/var/run/docker.sock' });
  if (await docker.ping().catch(() => undefined)) return docker;
  report.leaveOut('no Docker daemon answers');
  return undefined;
}

/** The container of a server's one instance of a function. */
export async function instanceContainer(docker: Dockerode, ebb: MeasuredEbb, name: string) {
  const [instance] = await ebb.client.functions.instances({ namespace: 'openfaas-fn', name });
  const [found] = await docker.listContainers({ filters: { label: [`ebb.instance=${instance?.id ?? ''}`] } });
  if (!found) throw new Error(`the container of ${name} cannot be found`);
  return docker.getContainer(found.Id);
}

/** Creates and starts a container, waits for the first byte of what answers, and removes it; returns milliseconds. */
export async function timeBareStart(
  docker: Dockerode,
  spec: Dockerode.ContainerCreateOptions,
  addressOf: (container: Dockerode.Container) => Promise<RequestOptions>,
): Promise<number> {
  const startedMs = performance.now();
  const container = await docker.createContainer(spec);
  try {
    await container.start();
    await firstByte(await addressOf(container));
    return performance.now() - startedMs;
  } finally {
    await container.remove({ force: true });
  }
}

async function firstByte(address: RequestOptions): Promise<void> {
  const giveUpAt = performance.now() + 20_000;
  const isAnswered = () =>
    new Promise<boolean>((resolve) => {
      request(address, (response) => response.resume().once('end', () => resolve(true)))
        .once('error', () => resolve(false))
        .end();
    });
  while (!(await isAnswered())) {
    if (performance.now() > giveUpAt) throw new Error('the bare container did not become ready');
    await sleep(1);
  }
}
