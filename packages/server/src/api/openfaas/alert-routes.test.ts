import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { functionSpecSchema, resolveLimits } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { EbbError } from '../../core/errors.ts';
import { createLogger } from '../../core/logger.ts';
import type { FunctionRecord } from '../../core/ports.ts';
import { alertRoutes } from './alert-routes.ts';

/** Two functions, `a` and `b`, whose numbers of instances a test reads and sets. */
const setUp = (labels: Record<string, string> = {}) => {
  const spec = functionSpecSchema.parse({ image: 'a/b', labels, scale: { min: 1, max: 10 } });
  const asked = new Map<string, number>();
  const ready = new Map<string, number>();
  const broken = new Set<string>();
  const time = { ms: 0 };
  const recordOf = (name: string) => {
    const live = { key: name, name, spec, limits: resolveLimits(spec) };
    return { live, versions: [live] } as unknown as FunctionRecord;
  };
  const [route] = alertRoutes({
    registry: {
      resolve: (namespace, name) =>
        namespace === 'openfaas-fn' && ['a', 'b'].includes(name) ? recordOf(name) : undefined,
      setReplicas: async (_namespace, name, count) => {
        if (broken.has(name)) throw new EbbError('STORE_FAILED', 'the disk is full');
        asked.set(name, count ?? 0);
        return recordOf(name);
      },
    },
    instances: {
      replicas: ({ name }) => ({
        wanted: Math.max(asked.get(name) ?? 1, ready.get(name) ?? 0),
        ready: ready.get(name) ?? 0,
      }),
    },
    clock: { monotonic: () => time.ms },
    logger: createLogger('silent'),
  });
  const post = async (body: unknown) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const request = Object.assign(Readable.from([Buffer.from(text)]), { headers: {} }) as unknown as IncomingMessage;
    return route?.run({ params: {}, query: {}, request, signal: new AbortController().signal });
  };
  const alert = (name: string, status = 'firing') => ({ status, labels: { function_name: name } });
  return { asked, ready, broken, time, post, alert };
};

describe('POST /system/alert', () => {
  test('a firing alert adds a step from what is asked for or there, a resolved one goes to the least', async () => {
    const { asked, ready, post, alert } = setUp();
    expect(await post({ alerts: [alert('a.openfaas-fn')] })).toEqual({ status: 200 });
    expect(asked.get('a')).toBe(3);
    await post({ alerts: [alert('a')] });
    expect(asked.get('a')).toBe(5);
    // The autoscaler has started more meanwhile.
    ready.set('a', 7);
    await post({ alerts: [alert('a')] });
    expect(asked.get('a')).toBe(9);
    await post({ alerts: [alert('a', 'resolved')] });
    expect(asked.get('a')).toBe(1);
  });

  test('one that cannot be followed is said with 500, and the others are followed all the same', async () => {
    const { asked, broken, post, alert } = setUp();
    broken.add('b');
    expect(await post({ alerts: [alert('gone'), alert('b'), alert('a')] })).toEqual({
      status: 500,
      text: 'alerts could not be followed: gone.openfaas-fn: there is no function "gone" in namespace "openfaas-fn"; b.openfaas-fn: the disk is full',
    });
    expect([...asked]).toEqual([['a', 3]]);
  });

  test('a post that is sent again because one of its alerts failed is no further step for the others', async () => {
    const { asked, broken, time, post, alert } = setUp();
    broken.add('b');
    const alerts = [alert('a'), alert('b')];
    for (let sent = 0; sent < 3; sent += 1) expect(await post({ alerts })).toMatchObject({ status: 500 });
    expect(asked.get('a')).toBe(3);
    // Long after that it is an alert that still fires.
    time.ms = 30_000;
    expect(await post({ alerts })).toMatchObject({ status: 500 });
    expect(asked.get('a')).toBe(5);
    broken.clear();
    expect(await post({ alerts })).toEqual({ status: 200 });
    expect([...asked]).toEqual([
      ['a', 5],
      ['b', 3],
    ]);
  });

  test('an alert that is resolved because its function was removed is done with', async () => {
    const { post, alert } = setUp();
    expect(await post({ alerts: [alert('gone', 'resolved')] })).toEqual({ status: 200 });
  });

  test('a function with a factor of 0 stays as it is', async () => {
    const { asked, post, alert } = setUp({ 'com.openfaas.scale.factor': '0' });
    expect(await post({ alerts: [alert('a'), alert('a', 'resolved')] })).toEqual({ status: 200 });
    expect(asked.size).toBe(0);
  });

  test.each([[''], ['{'], ['[]'], ['"firing"'], ['{"alerts": 7}']])('%j is refused', async (body) => {
    await expect(setUp().post(body)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  test('a post about no function changes nothing', async () => {
    const { asked, post } = setUp();
    expect(await post({ status: 'firing', alerts: [{ labels: { alertname: 'HostDown' } }] })).toEqual({ status: 200 });
    expect(asked.size).toBe(0);
  });
});
