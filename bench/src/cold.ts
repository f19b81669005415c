import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Dockerode from 'dockerode';
import { median } from './measure.ts';
import { printTable } from './print-table.ts';
import { type MeasuredEbb, startEbb } from './start-ebb.ts';

const PLAIN = fileURLToPath(new URL('../functions/plain', import.meta.url));

/**
 * The cold start of the managed runtime on Docker without a pool, beside what the engine alone takes: create and
 * start of a container with the same image, the same program and the default network, until the first byte.
 */
export async function benchCold(options: { readonly rounds: number }): Promise<void> {
  const docker = new Dockerode({ socketPath: process.env['EBB_DOCKER_SOCKET'] ?? '/var/run/docker.sock' });
  if (!(await docker.ping().catch(() => undefined))) {
    process.stdout.write('\nCold start: left out, no Docker daemon answers\n');
    return;
  }
  await using ebb = await startEbb('docker', { EBB_POOL_SIZE: '0' });
  await ebb.deploy('plain', await ebb.upload(PLAIN), { scale: { min: 0, max: 1, idle: '100ms' } });
  const template = await runningContainer(docker, ebb);
  const alone: number[] = [];
  const whole: number[] = [];
  for (let round = -1; round < options.rounds; round += 1) {
    const bare = await bareStart(docker, template);
    await atZero(ebb);
    const startedMs = performance.now();
    const response = await fetch(`${ebb.url}/function/plain`);
    await response.text();
    const coldMs = performance.now() - startedMs;
    if (!response.ok) throw new Error(`the cold call was answered ${response.status}`);
    // The first round warms the page cache for both.
    if (round >= 0) {
      alone.push(bare);
      whole.push(coldMs);
    }
  }
  const row = (name: string, values: readonly number[]) => [
    name,
    median(values).toFixed(0),
    Math.min(...values).toFixed(0),
    Math.max(...values).toFixed(0),
    (median(values) / median(alone)).toFixed(2),
  ];
  printTable(
    `Cold start on Docker, no pool (${options.rounds} rounds)`,
    ['path', 'median ms', 'min', 'max', 'of the engine'],
    [row('docker create + start + first byte', alone), row('Ebb, first call at zero', whole)],
  );
}

/** What the bare container shares with Ebb's: image, command and read-only binds. */
interface Template {
  readonly image: string;
  readonly command: string[];
  readonly binds: string[];
  readonly socketMount: string;
  readonly env: string[];
}

async function runningContainer(docker: Dockerode, ebb: MeasuredEbb): Promise<Template> {
  await (await fetch(`${ebb.url}/function/plain`)).text();
  const { installation } = await ebb.client.version();
  const [found] = await docker.listContainers({
    filters: { label: [`ebb.installation=${installation}`, 'ebb.instance'] },
  });
  const inspected = await docker.getContainer(found?.Id ?? '').inspect();
  const socket = inspected.Mounts.find(({ RW }) => RW)?.Destination ?? '';
  return {
    image: inspected.Image,
    command: [...(inspected.Config.Entrypoint ?? []), ...inspected.Config.Cmd],
    binds: inspected.Mounts.filter(({ RW }) => !RW).map(({ Source, Destination }) => `${Source}:${Destination}:ro`),
    socketMount: socket,
    env: inspected.Config.Env,
  };
}

async function bareStart(docker: Dockerode, template: Template): Promise<number> {
  const directory = await mkdtemp('/tmp/ebb-bench-bare-');
  await mkdir(join(directory, 's'));
  const startedMs = performance.now();
  const container = await docker.createContainer({
    Image: template.image,
    Entrypoint: template.command.slice(0, 1),
    Cmd: template.command.slice(1),
    Env: template.env,
    HostConfig: {
      Binds: [...template.binds.filter((bind) => !bind.includes('/secrets')), `${directory}/s:${template.socketMount}`],
    },
  });
  try {
    await container.start();
    await firstByte(join(directory, 's', 'sock'));
    return performance.now() - startedMs;
  } finally {
    await container.remove({ force: true });
    await rm(directory, { recursive: true, force: true });
  }
}

async function firstByte(socketPath: string): Promise<void> {
  const giveUpAt = performance.now() + 20_000;
  while (!existsSync(socketPath)) {
    if (performance.now() > giveUpAt) throw new Error('the bare container did not become ready');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await new Promise<void>((resolve, reject) => {
    request({ socketPath, path: '/' }, (response) => {
      response.resume();
      response.once('end', resolve);
    })
      .once('error', reject)
      .end();
  });
}

async function atZero(ebb: MeasuredEbb): Promise<void> {
  for (;;) {
    const instances = await ebb.client.functions.instances({ namespace: 'openfaas-fn', name: 'plain' });
    if (instances.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
