import { describe, expect, test } from 'vitest';
import type { OpenFaasDeployment } from './deployment.ts';
import { commandOf } from './build-image.ts';
import { gatherSecrets, parseSecretFiles } from './bring-secrets.ts';
import { describeDifferences } from './describe-differences.ts';
import { loadMapping, toBrought } from './to-brought.ts';

const PLAIN: OpenFaasDeployment = {
  service: 'f',
  namespace: 'openfaas-fn',
  image: 'me/f:1',
  envVars: {},
  constraints: [],
  secrets: [],
  labels: {},
  annotations: {},
  readOnlyRootFilesystem: false,
};

describe('a function that comes over', () => {
  test('is mapped as the server maps a deployment, and keeps what it said', async () => {
    const brought = toBrought(
      {
        deployment: {
          ...PLAIN,
          envProcess: 'cat',
          labels: { 'com.openfaas.scale.max': '3', 'com.openfaas.scale.zero': 'maybe' },
          annotations: { 'com.openfaas.retry.attempts': '7', 'com.openfaas.retry.codes': 'all' },
          limits: { memory: '64Mi', cpu: '250m' },
        },
        notes: ['as it was'],
      },
      await loadMapping(),
    );
    expect(brought).toMatchObject({
      kind: 'target',
      target: {
        ref: { namespace: 'openfaas-fn', name: 'f' },
        spec: {
          image: 'me/f:1',
          memory: 64 * 2 ** 20,
          cpu: 0.25,
          env: { fprocess: 'cat' },
          scale: { min: 1, max: 3 },
          async: { retry: { attempts: 7 } },
          openfaas: { limits: { memory: '64Mi', cpu: '250m' }, envProcess: 'cat' },
        },
      },
    });
    expect(brought.notes).toEqual([
      'as it was',
      expect.stringContaining('com.openfaas.scale.zero'),
      'annotation "com.openfaas.retry.codes" is "all": it counts as absent',
    ]);
  });

  test('is refused with one sentence where it cannot be one here', async () => {
    const mapping = await loadMapping();
    const reasonOf = (change: Partial<OpenFaasDeployment>) => {
      const brought = toBrought({ deployment: { ...PLAIN, ...change }, notes: [] }, mapping);
      return brought.kind === 'refused' ? brought.reason : undefined;
    };
    expect(reasonOf({ service: 'Bad_Name' })).toMatch(/^"service" is "Bad_Name" but must be 1 to 63/);
    expect(reasonOf({ limits: { memory: 'much' } })).toMatch(/"much"/);
    expect(reasonOf({ envVars: { EBB_SOCKET: '1' } })).toMatch(/EBB_SOCKET/);
    expect(reasonOf({})).toBeUndefined();
  });

  test('has everything named that means nothing or something else here', async () => {
    const deployment = {
      ...PLAIN,
      annotations: {
        topic: 'a',
        'com.openfaas.health.http.path': '/ok',
        'com.openfaas.queue': 'slow',
        'prometheus.io.scrape': 'true',
        'com.openfaas.profile': 'gvisor',
        own: 'x',
      },
      constraints: ['node.role == worker'],
      limits: { 'nvidia.com/gpu': '1' },
      requests: { memory: '1Gi' },
      envVars: {
        GATEWAY: 'http://gateway.openfaas:8080',
        DB: 'db.data.svc.cluster.local',
        PLAIN: 'https://example.com',
      },
    };
    const { notes } = toBrought({ deployment, notes: [] }, await loadMapping());
    for (const word of [
      'topic',
      'com.openfaas.queue',
      'prometheus.io.scrape',
      'com.openfaas.profile',
      'constraints',
      'nvidia.com/gpu',
      'requests are kept',
      'variable GATEWAY',
      'variable DB',
      '256Mi of memory and 1 core',
    ]) {
      expect(
        notes.filter((note) => note.includes(word)),
        word,
      ).toHaveLength(1);
    }
    expect(notes).toHaveLength(10);
    expect(describeDifferences(PLAIN)).toEqual([]);
  });
});

describe('secrets', () => {
  const context = { stdin: { isTTY: false }, stderr: process.stderr, cwd: '/' } as never;
  const needed = [
    { namespace: 'a', name: 'used', isUsed: true },
    { namespace: 'a', name: 'spare', isUsed: false },
  ];

  test('without a terminal all that functions use must be given, and nothing is asked', async () => {
    await expect(gatherSecrets(context, needed, new Map())).rejects.toThrow('give --secret a/used=FILE');
    const files = parseSecretFiles(['used=/etc/hostname']);
    const { values, skipped } = await gatherSecrets(context, needed, files);
    expect(values.map(({ name }) => name)).toEqual(['used']);
    expect(skipped.map(({ name }) => name)).toEqual(['spare']);
  });

  test('that nothing needs, or that cannot be read, are refused', async () => {
    expect(() => parseSecretFiles(['a'])).toThrow('must be NAME=FILE');
    const gather = (...pairs: string[]) => gatherSecrets(context, needed, parseSecretFiles(pairs));
    await expect(gather('used=/etc/hostname', 'typo=/etc/hostname')).rejects.toThrow(
      'names a secret that nothing here',
    );
    await expect(gather('a/used=/nothing/here')).rejects.toThrow('cannot be read');
  });
});

test('an image is built with the arguments, packages, secrets and platforms of the file', () => {
  const words = commandOf('me/f:1', { args: { A: '1' }, secrets: { npmrc: '/x' }, platforms: 'linux/arm64' }, '/c', [
    'gcc',
    'make',
  ]);
  expect(words.join(' ')).toBe(
    'build --tag me/f:1 --platform linux/arm64 --build-arg A=1 --build-arg ADDITIONAL_PACKAGE=gcc make --secret id=npmrc,src=/x /c',
  );
});
