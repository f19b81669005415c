import { join } from 'node:path';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import type Dockerode from 'dockerode';
import { connectDocker, instanceContainer, timeBareStart } from './docker.ts';
import { median } from './measure.ts';
import type { Report } from './report.ts';
import type { ColdCall } from './results.ts';
import { functionDir, startEbb } from './start-ebb.ts';
import { coldCall, timedCall } from './timed-call.ts';
import { untilZero } from './wait.ts';

/**
 * The cold start of the managed runtime on Docker without a pool, beside what the engine alone takes: create and
 * start of a container with the same image, the same program and the default network, until the first byte.
 */
export async function benchCold(report: Report, options: { readonly rounds: number }): Promise<void> {
  const docker = await connectDocker(report);
  if (!docker) return;
  await using ebb = await startEbb('docker', { EBB_POOL_SIZE: '0' });
  await ebb.deploy('plain', await ebb.upload(functionDir('plain')), { scale: { min: 0, max: 1, idle: '300ms' } });
  await timedCall(`${ebb.url}/function/plain`);
  const template = await readTemplate(await instanceContainer(docker, ebb, 'plain'));
  const alone: number[] = [];
  const whole: ColdCall[] = [];
  for (let round = -1; round < options.rounds; round += 1) {
    const bareMs = await bareStart(docker, template);
    await untilZero(ebb, 'plain');
    const call = await coldCall(ebb, 'plain');
    // The first round warms the page cache for both.
    if (round < 0) continue;
    alone.push(bareMs);
    whole.push(call);
  }
  const times = whole.map(({ totalMs }) => totalMs);
  report.add({
    measure: "cold start of the runtime without a pool, of the engine's own",
    value: median(times) / median(alone),
    unit: '',
    detail: { engineMs: alone, ebbMs: times },
  });
}

/** What the bare container shares with Ebb's: image, command and read-only binds. */
interface Template {
  readonly image: string;
  readonly command: string[];
  readonly binds: string[];
  readonly socketMount: string;
  readonly env: string[];
}

async function readTemplate(container: Dockerode.Container): Promise<Template> {
  const inspected = await container.inspect();
  const mounts = inspected.Mounts.filter(({ RW, Destination }) => !RW && !Destination.includes('/secrets'));
  return {
    image: inspected.Image,
    command: [...(inspected.Config.Entrypoint ?? []), ...inspected.Config.Cmd],
    binds: mounts.map(({ Source, Destination }) => `${Source}:${Destination}:ro`),
    socketMount: inspected.Mounts.find(({ RW }) => RW)?.Destination ?? '',
    env: inspected.Config.Env,
  };
}

async function bareStart(docker: Dockerode, { image, command, binds, socketMount, env }: Template): Promise<number> {
  const directory = await mkdtemp('/tmp/ebb-bench-bare-');
  await mkdir(join(directory, 's'));
  const spec = {
    Image: image,
    Entrypoint: command.slice(0, 1),
    Cmd: command.slice(1),
    Env: env,
    HostConfig: { Binds: [...binds, `${directory}/s:${socketMount}`] },
  };
  try {
    return await timeBareStart(docker, spec, () =>
      Promise.resolve({ socketPath: join(directory, 's', 'sock'), path: '/' }),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
