import { functionSpecSchema } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { probesOf } from './health-watch.ts';
import { questionPath, readyQuestion } from './question-path.ts';
import { stopGraceMs, watchdogEnv } from './watchdog-habits.ts';

const specOf = (more: object) => functionSpecSchema.parse({ image: 'i', openfaas: {}, ...more });
const health = 'com.openfaas.health.http';
const ready = 'com.openfaas.ready.http';

describe('an image of the compatible API', () => {
  test('finds who it is and what to run, and others do not', () => {
    expect(watchdogEnv(specOf({ openfaas: { envProcess: 'cat -n' } }), 'team', 'f')).toEqual({
      healthcheck_interval: '1s',
      OPENFAAS_NAME: 'f',
      OPENFAAS_NAMESPACE: 'team',
      fprocess: 'cat -n',
    });
    expect(watchdogEnv(specOf({ openfaas: undefined }), 'team', 'f')).toEqual({});
  });

  test.each([
    [{}, 36_000],
    [{ env: { write_timeout: '5s' } }, 11_000],
    [{ env: { write_timeout: '2', healthcheck_interval: '10s' } }, 17_000],
    [{ env: { write_timeout: 'never' } }, 6_000],
    [{ env: { write_timeout: '10h' } }, 600_000],
    [{ openfaas: undefined, env: { write_timeout: '5s' } }, 5_000],
  ])('with %j gets %d ms to end', (spec, ms) => {
    expect(stopGraceMs(specOf(spec))).toBe(ms);
  });

  test.each([
    [{}, { path: '/_/health', isOptional: true }],
    [{ healthPath: '/up' }, { path: '/up' }],
    [{ annotations: { [`${health}.path`]: '/live' } }, { path: '/live' }],
    [{ annotations: { [`${health}.path`]: '/live', [`${ready}.path`]: '/able' } }, { path: '/able' }],
    [{ annotations: { [`${ready}.path`]: 'no path' } }, { path: '/_/health', isOptional: true }],
    [{ openfaas: undefined }, undefined],
  ])('with %j is ready by %j', (spec, question) => {
    expect(readyQuestion(specOf(spec))).toEqual(question);
  });

  test('is asked whether it is well on the path for that', () => {
    expect(questionPath(specOf({ annotations: { [`${health}.path`]: '/live', [`${ready}.path`]: '/able' } }))).toBe(
      '/live',
    );
  });

  test('is asked as often as its annotations say, else every 2 seconds, 3 times', () => {
    expect(probesOf(specOf({}))?.health).toMatchObject({
      initialDelayMs: 0,
      periodMs: 2_000,
      timeoutMs: 1_000,
      failures: 3,
      successes: 1,
    });
    const annotations = {
      [`${health}.path`]: '/live',
      [`${health}.initialDelay`]: '20s',
      [`${health}.periodSeconds`]: '5',
      [`${health}.failureThreshold`]: 'often',
      [`${ready}.path`]: '/able',
      [`${ready}.timeoutSeconds`]: '4',
      [`${ready}.successThreshold`]: '2',
    };
    expect(probesOf(specOf({ annotations }))).toMatchObject({
      health: { initialDelayMs: 20_000, periodMs: 5_000, timeoutMs: 1_000, failures: 3 },
      ready: { question: { path: '/able' }, timeoutMs: 4_000, successes: 2 },
    });
    expect(probesOf(specOf({ openfaas: undefined, annotations }))).toBeUndefined();
  });
});
