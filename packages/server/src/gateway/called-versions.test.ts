import { describe, expect, test } from 'vitest';
import { EbbError } from '../core/errors.ts';
import type { Version } from '../core/ports.ts';
import { OPEN_GATE } from './rate-gates.ts';
import { CalledVersions } from './called-versions.ts';

const version = (name: string, number: number) =>
  ({
    namespace: 'team',
    name,
    version: number,
    spec: { auth: 'none' },
    limits: { timeoutMs: 1 },
  }) as unknown as Version;
const called = (number: number, name = 'f') => ({ namespace: 'team', name, number, authRequired: false });

function createLab() {
  const asked: string[] = [];
  const time = { ms: 0 };
  const waiting: (() => void)[] = [];
  const find = async (namespace: string, name: string, number: number) => {
    asked.push(`${namespace}/${name}@${number}`);
    if (number === 404) throw new EbbError('VERSION_NOT_FOUND', 'no such version');
    if (number === 500) await new Promise<void>((resolve) => waiting.push(resolve));
    return version(name, number);
  };
  const versions = new CalledVersions(find, { of: () => OPEN_GATE }, { now: () => 0, monotonic: () => time.ms });
  return { versions, asked, time, letGo: () => waiting.forEach((go) => go()) };
}

describe('versions that are called by number', () => {
  test('are asked for once by calls that come together, and known for ten seconds', async () => {
    const { versions, asked, time } = createLab();
    expect(versions.get(called(1))).toBeUndefined();
    const [one, other] = await Promise.all([versions.find(called(1)), versions.find(called(1))]);
    expect([one === other, asked]).toEqual([true, ['team/f@1']]);
    time.ms = 9_999;
    expect(versions.get(called(1))).toBe(one);
    time.ms = 10_000;
    expect(versions.get(called(1))).toBeUndefined();
  });

  test('that are not there are asked for again, and are told as such', async () => {
    const { versions, asked } = createLab();
    for (let i = 0; i < 2; i += 1) await expect(versions.find(called(404))).rejects.toThrow('no such version');
    expect(asked).toHaveLength(2);
  });

  test('ask for credentials if their function does', async () => {
    const { versions } = createLab();
    expect(await versions.find({ ...called(1), authRequired: true })).toMatchObject({ authRequired: true });
    expect(await versions.find(called(2))).toMatchObject({ authRequired: false });
  });

  test('are forgotten when their function changes, also those that are being asked for', async () => {
    const { versions, letGo } = createLab();
    await versions.find(called(1));
    await versions.find(called(1, 'g'));
    const late = versions.find(called(500));
    versions.forget('team', 'f');
    letGo();
    await late;
    expect([called(1), called(500), called(1, 'g')].map((one) => versions.get(one) !== undefined)).toEqual([
      false,
      false,
      true,
    ]);
  });

  test('are no more than a thousand at once', async () => {
    const { versions } = createLab();
    for (let i = 1_000; i <= 2_000; i += 1) await versions.find(called(i));
    expect([versions.get(called(1_000)), versions.get(called(2_000))]).toMatchObject([undefined, { label: 'f.team' }]);
  });
});
