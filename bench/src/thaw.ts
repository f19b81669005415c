import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type Dockerode from 'dockerode';
import { connectDocker, instanceContainer } from './docker.ts';
import { median, percentile } from './measure.ts';
import type { Report } from './report.ts';
import { functionDir, type MeasuredEbb, startEbb } from './start-ebb.ts';
import { timedCall } from './timed-call.ts';
import { untilFrozen } from './wait.ts';

const BARS_MS = { cgroup: 5, engine: 25 };

/**
 * What it costs to wake a frozen instance: whole calls through Ebb, until the answer is there, to an instance that is
 * frozen and to one that is not; with it the control group's file and the daemon's own pause by themselves.
 */
export async function benchThaw(report: Report, options: { readonly rounds: number }): Promise<void> {
  const docker = await connectDocker(report);
  const ways = docker ? (['docker cgroup', 'docker engine', 'process cgroup'] as const) : (['process cgroup'] as const);
  for (const way of ways) {
    const [engine, freezeBy] = way.split(' ') as ['docker' | 'process', 'cgroup' | 'engine'];
    await using ebb = await startEbb(engine, { EBB_FREEZE_BY: freezeBy });
    await ebb.deploy('plain', await ebb.upload(functionDir('plain')), { scale: { max: 1, freezeAfter: '100ms' } });
    const url = `${ebb.url}/function/plain`;
    await timedCall(url);
    const frozen: number[] = [];
    const warm: number[] = [];
    for (let round = 0; round < options.rounds; round += 1) {
      await untilFrozen(ebb, 'plain', 1);
      frozen.push(await timedCall(url));
      warm.push(await timedCall(url));
    }
    const raw = docker && way === 'docker cgroup' ? await rawChanges(docker, ebb, options.rounds) : {};
    const by = engine === 'process' ? 'by signals' : `by the ${freezeBy}`;
    report.add({
      measure: `thaw to first byte, p50, ${engine} engine${engine === 'docker' ? ` ${by}` : ''}`,
      value: median(frozen),
      unit: 'ms',
      bar: { atMost: BARS_MS[freezeBy] },
      detail: { frozen, p95Ms: percentile(frozen, 0.95), warmCallAfterIt: warm, ...raw },
    });
    report.addCold({ path: `thaw, ${engine} ${by}`, calls: frozen.map((totalMs) => ({ totalMs })) });
  }
}

/** The two ways to freeze, by themselves, on the container of a running instance. */
async function rawChanges(docker: Dockerode, ebb: MeasuredEbb, rounds: number): Promise<Record<string, number[]>> {
  // Ebb has to keep its hands off it.
  await ebb.deploy('raw', await ebb.upload(functionDir('plain')), { scale: { min: 1, max: 1, freezeAfter: 'off' } });
  const container = await instanceContainer(docker, ebb, 'raw');
  const { State } = await container.inspect();
  const times: Record<string, number[]> = {};
  const timed = async (name: string, work: () => unknown) => {
    const startedMs = performance.now();
    await work();
    (times[`${name}Ms`] ??= []).push(performance.now() - startedMs);
  };
  const file = freezerFile(State.Pid);
  for (let round = 0; round < rounds; round += 1) {
    await timed('daemonPause', () => container.pause());
    await timed('daemonUnpause', () => container.unpause());
    if (!file) continue;
    await timed('cgroupFreeze', async () => {
      writeFileSync(file.path, file.frozen);
      while (!file.isFrozen()) await new Promise((resolve) => setImmediate(resolve));
    });
    await timed('cgroupThaw', () => writeFileSync(file.path, file.thawed));
  }
  return times;
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
