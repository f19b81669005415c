import { describe, expect, test } from 'vitest';
import { resolveLimits } from '@ebb/contract';
import { type FunctionDeployment, functionDeploymentSchema } from './function-deployment.ts';
import { toFunctionSpec } from './to-function-spec.ts';
import { toFunctionStatus } from './to-function-status.ts';

const deployment = (more: Partial<FunctionDeployment> = {}): FunctionDeployment =>
  functionDeploymentSchema.parse({ service: 'hello', image: 'docker.io/functions/alpine:latest', ...more });
const specOf = (more: Partial<FunctionDeployment> = {}) => toFunctionSpec(deployment(more), undefined).spec;
const shownAs = (more: Partial<FunctionDeployment> = {}) =>
  toFunctionStatus({
    namespace: 'openfaas-fn',
    name: 'hello',
    spec: specOf(more),
    createdAt: 0,
    replicas: 1,
    availableReplicas: 0,
  });

describe('a deployment as it runs', () => {
  test.each([
    ['5Mi', 5 * 2 ** 20],
    ['1Ki', 5 * 2 ** 20],
    ['128Mi', 128 * 2 ** 20],
    ['1G', 1e9],
    ['129e6', 129e6],
    ['9Ti', 2 ** 40],
    ['', 256 * 2 ** 20],
  ])('memory of "%s" comes to %d bytes', (memory, bytes) => {
    expect(resolveLimits(specOf({ limits: { memory } })).memoryBytes).toBe(bytes);
  });

  test.each([
    ['100m', 0.1],
    ['0.5', 0.5],
    ['1m', 0.01],
    ['2', 2],
  ])('a cpu of "%s" comes to %d cores', (cpu, cores) => {
    expect(resolveLimits(specOf({ limits: { cpu } })).cpuCores).toBe(cores);
  });

  test('runs as the user of its image, with a writable root unless it says otherwise', () => {
    expect(specOf()).toMatchObject({ user: 'image', readOnlyRootFilesystem: false });
    expect(specOf({ readOnlyRootFilesystem: true })).toMatchObject({ readOnlyRootFilesystem: true });
  });

  test('the process is told to the image, before what the variables say of it', () => {
    expect(specOf({ envProcess: 'cat', envVars: { fprocess: 'env', a: 'b' } }).env).toEqual({
      fprocess: 'cat',
      a: 'b',
    });
  });

  test('a call may take as long as the variables of the image allow, and a minute at least', () => {
    expect(resolveLimits(specOf()).timeoutMs).toBe(60_000);
    expect(resolveLimits(specOf({ envVars: { exec_timeout: '10', write_timeout: '2m30s' } })).timeoutMs).toBe(150_000);
  });

  test('a secret that was set later makes another spec', () => {
    const one = toFunctionSpec(deployment({ secrets: ['a'] }), '2026-11-22T00:00:00.000Z').spec;
    expect(one.openfaas).toEqual({ secretsAt: '2026-11-22T00:00:00.000Z' });
  });
});

describe('a deployment as it is shown', () => {
  test('has labels and annotations always, and nothing else that was not set', () => {
    expect(shownAs()).toEqual({
      name: 'hello',
      namespace: 'openfaas-fn',
      image: 'docker.io/functions/alpine:latest',
      labels: { faas_function: 'hello' },
      annotations: {},
      replicas: 1,
      availableReplicas: 0,
      createdAt: '1970-01-01T00:00:00.000Z',
    });
    const empty = { envVars: {}, limits: {}, requests: {}, constraints: [], secrets: [], envProcess: '' };
    expect(shownAs({ ...empty, labels: {}, annotations: {} })).toEqual(shownAs());
  });

  test('repeats every text as it was written', () => {
    const given = {
      envProcess: 'cat -n',
      envVars: { a: 'b', fprocess_not: ' x ' },
      constraints: ['node.platform.os == linux'],
      secrets: ['one', 'two'],
      labels: { 'com.openfaas.scale.min': '2', a: 'not for Kubernetes: ä/ö' },
      annotations: { built: '2026-11-22T00:00:00+01:00', json: '{\n  "a": [1]\n}', topic: 'a,b' },
      limits: { memory: '5Mi', cpu: '0.10', 'nvidia.com/gpu': '1' },
      requests: { memory: '1Mi', cpu: '1m' },
      readOnlyRootFilesystem: true,
    };
    expect(shownAs(given)).toMatchObject({ ...given, labels: { ...given.labels, faas_function: 'hello' } });
  });

  test('does not repeat the process among the variables, but shows one that was only set there', () => {
    expect(shownAs({ envProcess: 'cat', envVars: { a: 'b' } }).envVars).toEqual({ a: 'b' });
    expect(shownAs({ envProcess: 'cat' })).not.toHaveProperty('envVars');
    expect(shownAs({ envVars: { fprocess: 'cat' } })).toMatchObject({ envVars: { fprocess: 'cat' } });
  });

  test('carries the label with its own name, whatever was said', () => {
    expect(shownAs({ labels: { faas_function: 'other' } }).labels).toEqual({ faas_function: 'hello' });
  });
});
