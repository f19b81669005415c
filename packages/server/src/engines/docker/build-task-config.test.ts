import { describe, expect, test } from 'vitest';
import type { InstanceSpec, TaskSpec } from '../engine.ts';
import { buildContainerConfig } from './build-host-config.ts';
import { buildTaskConfig, readTaskLabels, type TaskInput } from './build-task-config.ts';

const spec: TaskSpec = {
  id: 'job-1a2b-3-1',
  labels: { installation: 'i1', namespace: 'n', job: 'thumbs-1a2b', task: 3, attempt: 1, generation: 'g1' },
  source: { image: 'app:1', command: ['run'] },
  env: { A: 'b' },
  secrets: {},
  limits: { memoryBytes: 2 ** 28, cpuCores: 0.5, pids: 256, tmpBytes: 2 ** 26 },
  tenant: 7,
  user: 'tenant',
  network: 'egress',
  readOnlyRootFilesystem: true,
  hasInput: false,
  graceMs: 10_000,
  cleanup: 'always',
};
const shared: Omit<TaskInput, 'spec'> = {
  image: { id: 'sha256:1', user: 'app', volumes: [] },
  host: { cpus: 2, cgroupVersion: 1, writesCgroups: true, appArmor: true },
  dir: { root: '/r', socketDir: '/r/s', secretsDir: '/r/secrets', socketPath: '/r/s/sock' },
  network: 'ebb-i1',
};
const build = (changes: Partial<TaskSpec> = {}) => buildTaskConfig({ ...shared, spec: { ...spec, ...changes } });

describe('the settings of a task’s container', () => {
  test('E2: are hardened and limited exactly as those of an instance of the same image (case 31)', () => {
    const instance: InstanceSpec = {
      id: spec.id,
      labels: { installation: 'i1', namespace: 'n', function: 'f', version: 1, generation: 'g1' },
      source: { kind: 'image', image: 'app:1', port: 80, command: ['run'] },
      env: spec.env,
      secrets: spec.secrets,
      limits: spec.limits,
      tenant: spec.tenant,
      user: spec.user,
      network: spec.network,
      readOnlyRootFilesystem: spec.readOnlyRootFilesystem,
    };
    const usual = buildContainerConfig({
      ...shared,
      spec: instance,
      runtime: { directory: '', entry: '' },
      createdAt: 0,
    });
    const task = build();
    expect({ ...task.HostConfig, Mounts: [] }).toEqual({ ...usual.HostConfig, Mounts: [] });
    expect(task).toMatchObject({ User: usual.User, Cmd: ['run'], Image: 'sha256:1', Tty: false, OpenStdin: false });
  });

  test('have the task’s own environment, and nothing mounted where there are no secrets', () => {
    expect(build().Env).toEqual(['A=b']);
    expect(build().HostConfig.Mounts).toEqual([]);
    expect(build({ secrets: { key: Buffer.from('x') } }).HostConfig.Mounts).toMatchObject([
      { Source: '/r/secrets', ReadOnly: true },
    ]);
  });

  test('have standard input where something is sent, and no interface where nothing is to be reached', () => {
    expect(build({ hasInput: true })).toMatchObject({ OpenStdin: true, StdinOnce: true });
    expect(build({ network: 'none' }).HostConfig).toMatchObject({ NetworkMode: 'none', Dns: ['127.0.0.1'] });
  });

  test('E1: have labels by which the next server knows them, and the pools do not take them for instances', () => {
    const { Labels = {} } = build();
    expect(readTaskLabels(Labels, 'i1')).toEqual({ id: spec.id, labels: spec.labels });
    expect(readTaskLabels(Labels, 'i2')).toBeUndefined();
    expect(Labels).not.toHaveProperty('ebb.instance');
  });
});
