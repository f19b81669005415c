import { request } from 'node:http';
import Dockerode from 'dockerode';
import { median } from './measure.ts';
import { printTable } from './print-table.ts';
import { type MeasuredEbb, startEbb } from './start-ebb.ts';

const REF = { namespace: 'openfaas-fn', name: 'image' };
const PORT = 8080;
const COMMAND = ['/usr/local/bin/node', '-e', `require('http').createServer((q, s) => s.end('ok')).listen(${PORT})`];
/** Time in which the stock of prepared namespaces recovers between two cold calls. */
const RECOVERY_MS = 1_500;

/**
 * The cold start of an image, which has no pool: through Ebb with and without prepared network namespaces and from a
 * standby, beside what the engine alone takes to create and start the same image until its first byte.
 */
export async function benchImage(options: { readonly rounds: number }): Promise<void> {
  const docker = new Dockerode({ socketPath: process.env['EBB_DOCKER_SOCKET'] ?? '/var/run/docker.sock' });
  if (!(await docker.ping().catch(() => undefined))) {
    process.stdout.write('\nCold start of an image: left out, no Docker daemon answers\n');
    return;
  }
  const alone: number[] = [];
  const rows: [string, number[]][] = [['docker create + start + first byte', alone]];
  for (const [name, stock, scale] of [
    ['Ebb, fresh network namespace', '0', { max: 1, idle: '100ms' }],
    ['Ebb, prepared network namespace', '4', { max: 1, idle: '100ms' }],
    ['Ebb, standby of one', '4', { max: 2, idle: '100ms', freezeAfter: '100ms', standby: 1 }],
  ] as const) {
    await using ebb = await startEbb('docker', { EBB_PREPARED_NETWORKS: stock });
    const image = await runtimeImage(docker);
    await ebb.client.functions.deploy(REF, { spec: { image, port: PORT, command: COMMAND, scale } });
    const times: number[] = [];
    for (let round = -1; round < options.rounds; round += 1) {
      await atRest(ebb, 'standby' in scale ? 1 : 0);
      await new Promise((resolve) => setTimeout(resolve, RECOVERY_MS));
      if (stock === '0') alone.push(await bareStart(docker, image));
      const startedMs = performance.now();
      const response = await fetch(`${ebb.url}/function/image`);
      await response.text();
      if (!response.ok) throw new Error(`a cold call was answered ${response.status}`);
      // The first round warms the page cache.
      if (round >= 0) times.push(performance.now() - startedMs);
    }
    rows.push([name, times]);
  }
  printTable(
    `Cold start of an image on Docker (${options.rounds} rounds)`,
    ['path', 'median ms', 'min', 'max', 'of the engine'],
    rows.map(([name, times]) => [
      name,
      median(times).toFixed(0),
      Math.min(...times).toFixed(0),
      Math.max(...times).toFixed(0),
      (median(times) / median(alone)).toFixed(2),
    ]),
  );
}

/** An image with Node in it: the runtime's own, which the server has just made. */
async function runtimeImage(docker: Dockerode): Promise<string> {
  const images = await docker.listImages({ filters: JSON.stringify({ reference: ['ebb/runtime-node'] }) });
  const tag = images[0]?.RepoTags?.[0];
  if (tag === undefined) throw new Error('the image of the Node runtime is missing');
  return tag;
}

async function bareStart(docker: Dockerode, image: string): Promise<number> {
  const startedMs = performance.now();
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: COMMAND.slice(0, 1),
    Cmd: COMMAND.slice(1),
  });
  try {
    await container.start();
    const { NetworkSettings } = await container.inspect();
    await firstByte(Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? '');
    return performance.now() - startedMs;
  } finally {
    await container.remove({ force: true });
  }
}

async function firstByte(host: string): Promise<void> {
  const giveUpAt = performance.now() + 20_000;
  const isAnswered = () =>
    new Promise<boolean>((resolve) => {
      request({ host, port: PORT }, (response) => response.resume().once('end', () => resolve(true)))
        .once('error', () => resolve(false))
        .end();
    });
  while (!(await isAnswered())) {
    if (performance.now() > giveUpAt) throw new Error('the bare container did not become ready');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Waits until there are only so many instances, all of them frozen. */
async function atRest(ebb: MeasuredEbb, count: number): Promise<void> {
  for (;;) {
    const instances = await ebb.client.functions.instances(REF);
    if (instances.length === count && instances.every(({ state }) => state === 'frozen')) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
