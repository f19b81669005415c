import { expect, test } from 'vitest';
import type { InstanceSpec } from '../engines/engine.ts';
import { decideSpareShape, shapeKey } from './decide-spare-shape.ts';

const spec: InstanceSpec = {
  id: 'f-1',
  labels: { installation: 'i', namespace: 'n', function: 'f', version: 1, generation: 'g' },
  source: { kind: 'code', runtime: 'node', codeDir: '/code' },
  env: {},
  secrets: {},
  limits: { memoryBytes: 2 ** 28, cpuCores: 1, pids: 256, tmpBytes: 2 ** 26 },
  tenant: 1,
  user: 'tenant',
  network: 'egress',
  readOnlyRootFilesystem: true,
};
const keyOf = (changes: Partial<InstanceSpec>) => {
  const shape = decideSpareShape({ ...spec, ...changes });
  return shape && shapeKey(shape);
};

test('code, environment, secrets, cpu and processes can be given to a spare later', () => {
  const source = { kind: 'code' as const, runtime: 'node' as const, codeDir: '/other' };
  const limits = { ...spec.limits, cpuCores: 2, pids: 10 };
  const env = { NODE_ENV: 'production', TZ: 'Asia/Tokyo', MY_NODE_OPTIONS: 'x' };
  expect(keyOf({ source, limits, env, secrets: { a: Buffer.from('b') }, tenant: 7 })).toBe(keyOf({}));
});

test('memory, tmp, network and the root file system are settled when a spare is made', () => {
  const keys = [
    keyOf({}),
    keyOf({ limits: { ...spec.limits, memoryBytes: 2 ** 29 } }),
    keyOf({ limits: { ...spec.limits, tmpBytes: 2 ** 20 } }),
    keyOf({ network: 'none' }),
    keyOf({ readOnlyRootFilesystem: false }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

test.each(['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'UV_THREADPOOL_SIZE', 'LD_PRELOAD', 'SSL_CERT_FILE', 'LC_ALL'])(
  'a function that sets %s, which is read when a process starts, gets no spare',
  (name) => {
    expect(keyOf({ env: { [name]: 'x' } })).toBeUndefined();
  },
);

test('images have no spares', () => {
  expect(keyOf({ source: { kind: 'image', image: 'x', port: 80 } })).toBeUndefined();
});
