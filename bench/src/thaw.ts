import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Dockerode from 'dockerode';
import { median } from './measure.ts';
import { printTable } from './print-table.ts';
import { type MeasuredEbb, startEbb } from './start-ebb.ts';

const PLAIN = fileURLToPath(new URL('../functions/plain', import.meta.url));

/**
 * What it costs to wake a frozen instance: the control group's file and the daemon's own pause beside each other, then
 * whole calls through Ebb, until the first byte of the answer, to an instance that is frozen and to one that is not.
 */
export async function benchThaw(options: { readonly rounds: number }): Promise<void> {
  const docker = new Dockerode({ socketPath: process.env['EBB_DOCKER_SOCKET'] ?? '/var/run/docker.sock' });
  const hasDocker = (await docker.ping().catch(() => undefined)) !== undefined;
  const rows: (readonly string[])[] = [];
  const ways = [
    ...(hasDocker
      ? ([
          ['docker', 'cgroup'],
          ['docker', 'engine'],
        ] as const)
      : []),
    ['process', 'cgroup'] as const,
  ];
  for (const [engine, freezeBy] of ways) {
    await using ebb = await startEbb(engine, { EBB_FREEZE_BY: freezeBy });
    const name = engine === 'docker' ? `docker by the ${freezeBy}` : engine;
    await ebb.deploy('plain', await ebb.upload(PLAIN), { scale: { max: 1, freezeAfter: '100ms' } });
    await timedCall(ebb);
    const [frozen, warm]: number[][] = [[], []];
    for (let round = 0; round < options.rounds; round += 1) {
      await untilFrozen(ebb);
      frozen?.push(await timedCall(ebb));
      warm?.push(await timedCall(ebb));
    }
    rows.push(row(`${name}: call to a frozen instance`, frozen ?? []));
    rows.push(row(`${name}: the call after it`, warm ?? []));
    if (engine === 'docker' && freezeBy === 'cgroup') rows.push(...(await rawChanges(docker, ebb, options.rounds)));
  }
  printTable(`Thaw (${options.rounds} rounds)`, ['what', 'median ms', 'min', 'max'], rows);
}

/** The two ways to freeze, by themselves, on the container of a running instance. */
async function rawChanges(docker: Dockerode, ebb: MeasuredEbb, rounds: number): Promise<(readonly string[])[]> {
  await timedCall(ebb);
  const { installation } = await ebb.client.version();
  const [found] = await docker.listContainers({
    filters: { label: [`ebb.installation=${installation}`, 'ebb.instance'] },
  });
  const container = docker.getContainer(found?.Id ?? '');
  const { State } = await container.inspect();
  const times = { pause: [] as number[], unpause: [] as number[], freeze: [] as number[], thaw: [] as number[] };
  const timed = async (name: keyof typeof times, work: () => unknown) => {
    const startedMs = performance.now();
    await work();
    times[name].push(performance.now() - startedMs);
  };
  const file = freezerFile(State.Pid);
  for (let round = 0; round < rounds; round += 1) {
    await timed('pause', () => container.pause());
    await timed('unpause', () => container.unpause());
    if (!file) continue;
    await timed('freeze', async () => {
      writeFileSync(file.path, file.frozen);
      while (!file.isFrozen()) await new Promise((resolve) => setImmediate(resolve));
    });
    await timed('thaw', () => writeFileSync(file.path, file.thawed));
  }
  const written = file ? [row('control group: freeze', times.freeze), row('control group: thaw', times.thaw)] : [];
  return [...written, row('daemon: pause', times.pause), row('daemon: unpause', times.unpause)];
}

function freezerFile(pid: number) {
  const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  const v1 = /^\d+:freezer:(.+)$/m.exec(groups)?.[1];
  const v2 = /^0::(.+)$/m.exec(groups)?.[1];
  const old = `/sys/fs/cgroup/freezer${v1}/freezer.state`;
  if (existsSync(old)) {
    const isFrozen = () => readFileSync(old, 'utf8').trim() === 'FROZEN';
    return { path: old, frozen: 'FROZEN', thawed: 'THAWED', isFrozen };
  }
  const directory = `/sys/fs/cgroup${v2}`;
  if (!existsSync(`${directory}/cgroup.freeze`)) return undefined;
  const isFrozen = () => readFileSync(`${directory}/cgroup.events`, 'utf8').includes('frozen 1');
  return { path: `${directory}/cgroup.freeze`, frozen: '1', thawed: '0', isFrozen };
}

async function timedCall(ebb: MeasuredEbb): Promise<number> {
  const startedMs = performance.now();
  const response = await fetch(`${ebb.url}/function/plain`);
  const elapsedMs = performance.now() - startedMs;
  await response.text();
  if (!response.ok) throw new Error(`a call was answered ${response.status}`);
  return elapsedMs;
}

async function untilFrozen(ebb: MeasuredEbb): Promise<void> {
  for (;;) {
    const instances = await ebb.client.functions.instances({ namespace: 'openfaas-fn', name: 'plain' });
    if (instances.length > 0 && instances.every(({ state }) => state === 'frozen')) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function row(name: string, values: readonly number[]): readonly string[] {
  return [name, median(values).toFixed(2), Math.min(...values).toFixed(2), Math.max(...values).toFixed(2)];
}
