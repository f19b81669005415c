import type Dockerode from 'dockerode';
import { connectDocker, timeBareStart } from './docker.ts';
import { median } from './measure.ts';
import type { Report } from './report.ts';
import type { ColdCall } from './results.ts';
import { NAMESPACE, startEbb } from './start-ebb.ts';
import { coldCall } from './timed-call.ts';
import { sleep, untilFrozen, untilZero } from './wait.ts';

const PORT = 8080;
const COMMAND = ['/usr/local/bin/node', '-e', `require('http').createServer((q, s) => s.end('ok')).listen(${PORT})`];
/** Time in which the stock of prepared namespaces recovers between two cold calls. */
const RECOVERY_MS = 1_000;
/** The ways an image can start: how many prepared namespaces, and how it scales. */
const WAYS = {
  'a fresh network namespace': { stock: '0', scale: { max: 1, idle: '300ms' } },
  'a prepared network namespace': { stock: '4', scale: { max: 1, idle: '300ms' } },
  'a standby of one': { stock: '4', scale: { max: 2, idle: '100ms', freezeAfter: '100ms', standby: 1 } },
} as const;

/**
 * The cold start of an image, which has no pool: through Ebb with and without prepared network namespaces and from a
 * standby, beside what the engine alone takes to create and start the same image until its first byte.
 */
export async function benchImage(report: Report, options: { readonly rounds: number }): Promise<void> {
  const docker = await connectDocker(report);
  if (!docker) return;
  const alone: number[] = [];
  const ways = new Map<string, { readonly calls: readonly ColdCall[]; readonly besideMs: readonly number[] }>();
  for (const [way, { stock, scale }] of Object.entries(WAYS)) {
    await using ebb = await startEbb('docker', { EBB_PREPARED_NETWORKS: stock, EBB_POOL_SIZE: '0' });
    const image = await runtimeImage(docker);
    const spec = { image, port: PORT, command: COMMAND, scale };
    await ebb.client.functions.deploy({ namespace: NAMESPACE, name: 'image' }, { spec });
    const calls: ColdCall[] = [];
    const besideMs: number[] = [];
    for (let round = -1; round < options.rounds; round += 1) {
      await ('standby' in scale ? untilFrozen(ebb, 'image', 1) : untilZero(ebb, 'image'));
      await sleep(RECOVERY_MS);
      // Beside both ways that start, so that all three see the same daemon.
      const bareMs = 'standby' in scale ? undefined : await bareStart(docker, image);
      const call = await coldCall(ebb, 'image');
      // The first round warms the page cache.
      if (round < 0) continue;
      calls.push('standby' in scale ? { totalMs: call.totalMs } : call);
      if (bareMs !== undefined) besideMs.push(bareMs);
    }
    alone.push(...besideMs);
    ways.set(way, { calls, besideMs });
  }
  for (const [way, { calls, besideMs }] of ways) {
    // Each beside the starts of its own time; a standby, which has none, beside all.
    const engineMs = besideMs.length > 0 ? besideMs : alone;
    const times = calls.map(({ totalMs }) => totalMs);
    report.add({
      measure: `cold start of an image from ${way}, of the engine's own create + start + first byte`,
      value: median(times) / median(engineMs),
      unit: '',
      // A standby was started before; it is here for comparison.
      // What a server does unless it is told otherwise.
      ...(way === 'a prepared network namespace' ? { bar: { atMost: 1.1 } } : {}),
      detail: { engineMs, ebbMs: times },
    });
    report.addCold({ path: `image, ${way}`, calls });
  }
  report.addCold({ path: 'image, the engine alone', calls: alone.map((totalMs) => ({ totalMs })) });
}

/** An image with Node in it: the runtime's own, which the server makes. */
async function runtimeImage(docker: Dockerode): Promise<string> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const images = await docker.listImages({ filters: JSON.stringify({ reference: ['ebb/runtime-node'] }) });
    const tag = images[0]?.RepoTags?.[0];
    if (tag !== undefined) return tag;
    await sleep(100);
  }
  throw new Error('the image of the Node runtime is missing; run the scenario "cold" first, which has it made');
}

function bareStart(docker: Dockerode, image: string): Promise<number> {
  const spec = { Image: image, Entrypoint: COMMAND.slice(0, 1), Cmd: COMMAND.slice(1) };
  return timeBareStart(docker, spec, async (container) => {
    const { NetworkSettings } = await container.inspect();
    return { host: Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? '', port: PORT };
  });
}
